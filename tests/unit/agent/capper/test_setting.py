"""A point is set whole, read back, and set once; whom nobody asked for is not touched."""

from __future__ import annotations

from ballast.agent.capping.assignments import Wanted
from tests.unit.agent.capping import Capping, point
from tests.unit.agent.fake_gpu import FOUND_WATTS, MHZ


def test_every_part_is_set(node: Capping) -> None:
    """Limit, clocks and memory clock are on the board, and the state says so."""
    state = node.reconcile(a=point(150, 900, 810))["a"]
    assert node.board("a").settings == (150, (210 * MHZ, 900 * MHZ), 810 * MHZ)
    assert state.enforced == point(150, 900, 810)
    assert (state.since, state.reapplied, state.problem) == (node.now, 0, None)
    assert state.found_power_limit_watts == FOUND_WATTS
    assert node.capper.enforced == {"a": point(150, 900, 810)}


def test_a_second_round_sets_nothing(node: Capping) -> None:
    """What is set is left alone, and keeps the time at which it was set."""
    first = node.reconcile(a=point(150, 900, 810))
    node.driver.forget_calls()
    node.now += 5
    assert node.reconcile(a=point(150, 900, 810)) == first
    assert node.board("a").calls == []


def test_only_what_differs_is_set(node: Capping) -> None:
    """Another limit with the same clocks is one call."""
    node.reconcile(a=point(150, 900, 810))
    node.driver.forget_calls()
    node.now += 5
    state = node.reconcile(a=point(160, 900, 810))["a"]
    assert node.board("a").calls == [("set_power_limit", 160)]
    assert state.since == node.now


def test_who_is_not_wanted_gets_no_call(node: Capping) -> None:
    """Not one that changes anything, and not one that reads."""
    node.reconcile(a=point(150), b=None)
    for uuid in ("b", "c"):
        assert node.board(uuid).calls == []
        assert node.board(uuid).looks == 0


def test_a_point_that_is_there_already(node: Capping) -> None:
    """A limit that the board has anyway is enforced without a call, and restored without one."""
    node.board("a").limit_watts = 150
    assert node.reconcile(a=point(150))["a"].enforced == point(150)
    node.reconcile()
    assert node.board("a").calls == []
    assert node.files() == []


def test_a_part_less(node: Capping) -> None:
    """A part that is no longer asked for gets what was found; the others stay, and what was found stays known."""
    node.reconcile(a=point(150, 900, 810))
    assert node.reconcile(a=point(None, 900))["a"].enforced == point(None, 900)
    assert node.board("a").settings == (FOUND_WATTS, (210 * MHZ, 900 * MHZ), None)
    node.board("a").limit_watts = 222  # an admin's, while Ballast has no say in it
    node.reconcile(a=point(150, 900))
    node.reconcile()
    assert node.board("a").settings == (222, None, None)


def test_a_limit_above_what_was_found(node: Capping) -> None:
    """An admin's own limit is not lifted; the problem says what to do, and the point is refused whole."""
    state = node.reconcile(a=point(FOUND_WATTS + 10, 900))["a"]
    assert state.enforced is None
    assert "powerLimitWatts 240 is above the 230 W that were found" in (state.problem or "")
    assert node.board("a").calls == []
    assert node.files() == []


def test_problems_of_the_assignment_are_told(node: Capping) -> None:
    """What was refused before it came here is in the state, too."""
    states = node.capper.reconcile({"a": Wanted(None, "outside the range")})
    assert states["a"].problem == "outside the range"
    assert node.board("a").looks == 0
