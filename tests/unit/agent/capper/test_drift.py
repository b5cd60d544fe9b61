"""What somebody else changes is set again, and counted."""

from __future__ import annotations

import pytest

from ballast.agent.capping.capped_gpu import SETTLE_SECONDS
from ballast.agent.device import Sample
from tests.unit.agent.capping import Capping, point
from tests.unit.agent.fake_gpu import MHZ


@pytest.mark.parametrize("others", [200.0, 120.0])
def test_another_limit(node: Capping, others: float) -> None:
    """A limit that was changed, up or down, is set again; since when it holds stays."""
    first = node.reconcile(a=point(150))["a"]
    node.board("a").limit_watts = others
    node.now += 5
    state = node.reconcile(a=point(150))["a"]
    assert node.board("a").limit_watts == 150
    assert (state.reapplied, state.since, state.problem) == (1, first.since, None)
    assert node.reconcile(a=point(150))["a"].reapplied == 1


def test_a_reset_takes_locks_along(node: Capping) -> None:
    """A limit that is gone is a sign that the board was reset: locks are set again with it."""
    node.reconcile(a=point(150, 900, 810))
    node.board("a").reset()
    node.reconcile(a=point(150, 900, 810))
    assert node.board("a").settings == (150, (210 * MHZ, 900 * MHZ), 810 * MHZ)


def sample(node: Capping, clock: int | None = None, memory: int | None = None, age: float = 0.0) -> dict[str, Sample]:
    return {
        "a": Sample(
            at=node.now - age,
            clock_hertz=None if clock is None else clock * MHZ,
            memory_clock_hertz=None if memory is None else memory * MHZ,
        )
    }


@pytest.mark.parametrize(("clock", "memory"), [(1200, None), (None, 1215)])
def test_a_clock_above_the_lock(node: Capping, clock: int | None, memory: int | None) -> None:
    """A lock cannot be read back; a clock above it tells that it is gone."""
    node.reconcile(a=point(150, 900, 810))
    node.board("a").clocks = node.board("a").memory_clock = None
    node.now += SETTLE_SECONDS
    state = node.reconcile(sample(node, clock, memory), a=point(150, 900, 810))["a"]
    assert node.board("a").settings == (150, (210 * MHZ, 900 * MHZ), 810 * MHZ)
    assert state.reapplied == 1


@pytest.mark.parametrize(("clock", "age"), [(900, 0.0), (915, 0.0), (210, 0.0), (None, 0.0), (1200, 1.0)], ids=str)
def test_clocks_that_tell_nothing(node: Capping, clock: int | None, age: float) -> None:
    """A clock in the range, within a step of it, below it, untold, or read before the lock settled."""
    node.reconcile(a=point(150, 900))
    node.driver.forget_calls()
    node.now += SETTLE_SECONDS
    assert node.reconcile(sample(node, clock, age=age), a=point(150, 900))["a"].reapplied == 0
    assert node.board("a").calls == []


def test_an_energy_counter_that_begins_anew(node: Capping) -> None:
    """The board or its driver was reset, unseen by whoever could have told: locks are set again, once."""

    def counted(joules: float) -> dict[str, Sample]:
        node.now += 1
        return {"a": Sample(at=node.now, energy_joules=joules)}

    node.reconcile(a=point(None, 900))
    assert node.reconcile(counted(5000), a=point(None, 900))["a"].reapplied == 0
    node.board("a").clocks = None
    state = node.reconcile(counted(3), a=point(None, 900))["a"]
    assert node.board("a").clocks == (210 * MHZ, 900 * MHZ)
    for joules in (4, 5):
        assert node.reconcile(counted(joules), a=point(None, 900))["a"].reapplied == state.reapplied == 1


def test_a_new_point_is_no_drift(node: Capping) -> None:
    """What the agent itself changes is not counted."""
    node.reconcile(a=point(150))
    assert node.reconcile(a=point(160))["a"].reapplied == 0


def test_boards_that_round(node: Capping) -> None:
    """A limit that the board rounds is read back as it is, and not set again and again."""
    node.board("a").limit_watts = 230
    node.reconcile(a=point(150.3))
    node.board("a").limit_watts = 150.0
    node.driver.forget_calls()
    state = node.reconcile(a=point(150.3))["a"]
    assert state.enforced == point(150.0)
    assert state.reapplied == 0
    assert node.board("a").calls == []
