"""Containers are slowed by their quota, and have the one that they were found with afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.nvmlsim.load import Brake, Container
from tests.unit.nvmlsim_node.builders import GPU, FakeNode


def a_container(node: FakeNode, quota: str = "50000") -> Container:
    node.add("trainer", 7, quota=quota)
    node.process(7, NVIDIA_VISIBLE_DEVICES=GPU)
    (container,) = node.containers.scan()
    return container


@pytest.fixture
def journal(tmp_path: Path) -> Path:
    return tmp_path / "quotas.json"


def test_it_has_a_share_of_what_it_was_found_with(node: FakeNode, journal: Path) -> None:
    brake, container = Brake(journal), a_container(node)
    for speed, quota in ((0.8, "40000"), (0.5, "25000"), (0.9, "45000"), (1.0, "50000")):
        brake.slow(container, speed)
        assert node.quota("trainer") == quota


@pytest.mark.parametrize("speed", [0.0, 0.001])
def test_a_container_never_stands_still(node: FakeNode, journal: Path, speed: float) -> None:
    Brake(journal).slow(a_container(node), speed)
    assert node.quota("trainer") == "1000"


def test_one_without_a_limit_is_slowed_as_one_of_one_cpu(node: FakeNode, journal: Path) -> None:
    brake, container = Brake(journal), a_container(node, "-1")
    brake.slow(container, 0.6)
    assert node.quota("trainer") == "60000"
    brake.release([container])
    assert node.quota("trainer") == ("max" if node.v2 else "-1")


def test_small_changes_are_not_written(node: FakeNode, journal: Path) -> None:
    brake, container = Brake(journal), a_container(node)
    brake.slow(container, 0.8)
    brake.slow(container, 0.803)
    assert node.quota("trainer") == "40000"
    brake.slow(container, 1.0)
    assert node.quota("trainer") == "50000"


def test_a_successor_of_a_killed_daemon_knows_what_was_found(node: FakeNode, journal: Path) -> None:
    container = a_container(node)
    Brake(journal).slow(container, 0.5)
    successor = Brake(journal)
    successor.slow(container, 0.8)
    assert node.quota("trainer") == "40000"
    successor.release([container])
    assert node.quota("trainer") == "50000"


def test_a_quota_that_somebody_else_set_is_the_found_one(node: FakeNode, journal: Path) -> None:
    brake, container = Brake(journal), a_container(node)
    brake.slow(container, 0.5)
    container.group.set_quota(type(container.group.quota())(100_000))
    brake.slow(container, 0.5)
    assert node.quota("trainer") == "50000"
    brake.release([container])
    assert node.quota("trainer") == "100000"
    brake.slow(container, 1.0)
    assert node.quota("trainer") == "100000"


def test_what_is_gone_is_forgotten(node: FakeNode, journal: Path) -> None:
    brake, container = Brake(journal), a_container(node)
    brake.slow(container, 0.5)
    brake.forget_all_but([container])
    assert "trainer" in journal.read_text()
    brake.forget_all_but([])
    assert "trainer" not in journal.read_text()
