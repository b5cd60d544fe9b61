"""Demand is the share of the CPU that a container may use at present."""

from __future__ import annotations

import pytest

from tests.nvmlsim.load import Container
from tests.unit.nvmlsim_node.builders import GPU, FakeNode


def a_container(node: FakeNode, quota: str) -> Container:
    node.add("trainer", 7, quota=quota)
    node.process(7, NVIDIA_VISIBLE_DEVICES=GPU)
    (container,) = node.containers.scan()
    return container


def demand_after(node: FakeNode, container: Container, *used_seconds: float) -> float:
    """Its demand after it used so much in steps of a tenth of a second."""
    demand, total = container.demand(0.1), 0.0
    for used in used_seconds:
        total += used
        node.use("trainer", total)
        demand = container.demand(0.1)
    return demand


def test_nothing_is_known_at_first(node: FakeNode) -> None:
    assert a_container(node, "50000").demand(0.1) == 0.0


@pytest.mark.parametrize(
    ("quota", "used", "demand"),
    [("50000", 0.05, 1.0), ("50000", 0.025, 0.5), ("200000", 0.05, 0.25), ("-1", 0.05, 0.5), ("-1", 0.2, 1.0)],
)
def test_it_is_relative_to_the_limit_or_to_one_cpu(node: FakeNode, quota: str, used: float, demand: float) -> None:
    assert demand_after(node, a_container(node, quota), used, used, used) == pytest.approx(demand)


def test_a_slowed_container_that_uses_all_it_may_is_as_busy_as_before(node: FakeNode) -> None:
    container = a_container(node, "50000")
    assert demand_after(node, container, 0.05, 0.05) == pytest.approx(1.0)
    container.group.set_quota(container.group.quota().scaled(0.4))
    total = 0.1
    for _ in range(3):
        total += 0.02
        node.use("trainer", total)
        assert container.demand(0.1) == pytest.approx(1.0)


def test_bursts_within_a_period_are_evened_out(node: FakeNode) -> None:
    container = a_container(node, "50000")
    assert demand_after(node, container, *[0.05, 0.0] * 6) == pytest.approx(0.5, abs=0.11)


def test_what_was_long_ago_does_not_count(node: FakeNode) -> None:
    assert demand_after(node, a_container(node, "50000"), *[0.05] * 5, *[0.0] * 5) == 0.0
