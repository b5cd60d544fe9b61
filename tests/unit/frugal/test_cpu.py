"""Threads follow the container's CPU limit, not the node's cores."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from frugal.cpu import available_cpus, thread_count, used_seconds

CORES = len(os.sched_getaffinity(0))


def _cgroup(tmp_path: Path, membership: str, files: dict[str, str]) -> tuple[Path, Path]:
    root, proc = tmp_path / "cgroup", tmp_path / "self"
    root.mkdir()
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    proc.write_text(membership)
    return root, proc


def test_no_limit_leaves_the_affinity_mask(tmp_path: Path) -> None:
    assert available_cpus(*_cgroup(tmp_path, "0::/\n", {"cpu.max": "max 100000\n"})) == CORES


def test_limit_of_a_container_with_its_own_cgroup_namespace(tmp_path: Path) -> None:
    assert available_cpus(*_cgroup(tmp_path, "0::/\n", {"cpu.max": "50000 100000\n"})) == 0.5


def test_tightest_limit_of_the_parents_holds(tmp_path: Path) -> None:
    files = {"pod/cpu.max": "70000 100000", "pod/trainer/cpu.max": "max 100000"}
    assert available_cpus(*_cgroup(tmp_path, "0::/pod/trainer\n", files)) == 0.7


def test_limit_in_the_first_version_of_cgroups(tmp_path: Path) -> None:
    files = {"cpu,cpuacct/pod/cpu.cfs_quota_us": "25000", "cpu,cpuacct/pod/cpu.cfs_period_us": "100000"}
    membership = "5:memory:/other\n4:cpu,cpuacct:/pod\n0::/\n"
    assert available_cpus(*_cgroup(tmp_path, membership, files)) == 0.25


def test_unlimited_quota_in_the_first_version(tmp_path: Path) -> None:
    files = {"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}
    assert available_cpus(*_cgroup(tmp_path, "1:cpu:/\n", files)) == CORES


def test_no_cgroups_at_all(tmp_path: Path) -> None:
    assert available_cpus(tmp_path / "none", tmp_path / "none") == CORES


@pytest.mark.parametrize(
    ("processes", "cpus", "threads"), [(1, 2.0, 2), (2, 2.0, 1), (1, 1.9, 1), (1, 0.5, 1), (4, 2.0, 1), (2, 9.0, 4)]
)
def test_share_of_a_process(processes: int, cpus: float, threads: int) -> None:
    assert thread_count(processes, cpus) == threads


@pytest.mark.parametrize(
    ("file", "text", "seconds"),
    [
        ("cpu.stat", "usage_usec 2500000\nuser_usec 1\n", 2.5),
        ("cpuacct/cpuacct.usage", "1500000000\n", 1.5),
        ("cpu,cpuacct/cpuacct.usage", "500000000\n", 0.5),
    ],
)
def test_cpu_time_of_the_container(file: str, text: str, seconds: float, tmp_path: Path) -> None:
    (tmp_path / file).parent.mkdir(exist_ok=True)
    (tmp_path / file).write_text(text)
    assert used_seconds(tmp_path) == seconds


def test_cpu_time_of_the_process_where_no_cgroup_tells_it(tmp_path: Path) -> None:
    (tmp_path / "cpu.stat").write_text("nr_periods 0\n")
    assert 0 < used_seconds(tmp_path) < 100_000
