"""A node's control groups are made in every hierarchy, usable, and removed whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cluster import cgroups


@pytest.fixture
def version_one(tmp_path: Path) -> Path:
    for controller in ("cpu", "memory", "cpuset"):
        (tmp_path / controller).mkdir()
    return tmp_path


@pytest.fixture
def version_two(tmp_path: Path) -> Path:
    (tmp_path / "cgroup.controllers").write_text("cpuset cpu io memory pids\n")
    (tmp_path / "cgroup.subtree_control").write_text("cpuset cpu io memory pids\n")
    return tmp_path


def test_one_group_per_controller_on_version_one(version_one: Path) -> None:
    cgroups.create("unit-real-1", version_one)
    assert [path.parent.name for path in cgroups.existing("unit-.*", version_one)] == ["cpu", "cpuset", "memory"]


def test_one_group_on_version_two(version_two: Path) -> None:
    cgroups.create("unit-real-1", version_two)
    assert cgroups.existing("unit-.*", version_two) == [version_two / "unit-real-1"]


def test_missing_controllers_are_switched_on_and_none_off(version_two: Path) -> None:
    control = version_two / "cgroup.subtree_control"
    control.write_text("cpuset cpu io memory\n")
    cgroups.create("unit-real-1", version_two)
    assert control.read_text() == "+pids"


def test_what_a_killed_run_left_is_removed_with_its_children(version_one: Path) -> None:
    (version_one / "cpu" / "unit-real-1" / "kubepods" / "pod1").mkdir(parents=True)
    cgroups.create("unit-real-1", version_one)
    assert list((version_one / "cpu" / "unit-real-1").iterdir()) == []
    cgroups.remove("unit-real-1", version_one)
    assert cgroups.existing(".*", version_one) == []


def test_other_groups_stay(version_one: Path) -> None:
    (version_one / "cpu" / "unit-real-10").mkdir()
    cgroups.remove("unit-real-1", version_one)
    assert (version_one / "cpu" / "unit-real-10").is_dir()
