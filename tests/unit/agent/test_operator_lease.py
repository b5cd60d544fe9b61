"""Only a renewal that is seen to happen keeps the operator fresh, by the agent's own clock."""

from __future__ import annotations

import pytest

from ballast.agent.capping.operator_lease import OperatorLease

STALE = 120.0
START = 5000.0


def lease(renewed: str, holder: str | None = "operator-1", transitions: int = 3) -> dict[str, object]:
    spec: dict[str, object] = {"renewTime": renewed, "leaseTransitions": transitions}
    if holder is not None:
        spec["holderIdentity"] = holder
    return {"metadata": {"resourceVersion": "7"}, "spec": spec}


def watched() -> OperatorLease:
    """One that has seen a renewal at START."""
    it = OperatorLease(STALE, START - 50)
    it.observe(lease("09:00:00"), START - 10)
    assert it.observe(lease("09:00:10"), START)
    return it


def test_fresh_until_the_time_is_over() -> None:
    """The last news counts for exactly the stale time."""
    it = watched()
    assert it.is_fresh(START + STALE - 0.001)
    assert it.next_due(START + 1) == START + STALE
    assert not it.is_fresh(START + STALE)
    assert it.next_due(START + STALE) is None


def test_each_renewal_counts_anew() -> None:
    """A Lease that is renewed keeps it fresh for ever, whatever time stands in it."""
    it = watched()
    for round_ in range(10):
        assert it.observe(lease(f"1970-01-01T00:00:{round_:02}Z"), START + 100 * (round_ + 1))
        assert it.is_fresh(START + 100 * (round_ + 1) + 99)


@pytest.mark.parametrize(
    "seen",
    [
        pytest.param([lease("09:00:10")], id="nobody renews"),
        pytest.param([lease("09:00:40", holder=None)], id="given back"),
        pytest.param([None], id="deleted"),
        pytest.param([None, lease("09:00:10")], id="the same one, back from a backup"),
        pytest.param([], id="the API server does not answer"),
        pytest.param([{**lease("09:00:10"), "metadata": {"resourceVersion": "8"}}], id="somebody annotated it"),
    ],
)
def test_no_news(seen: list[dict[str, object] | None]) -> None:
    """What brings no renewal lets it turn stale, however often it is looked at."""
    it = watched()
    for round_ in range(4):
        for one in seen:
            assert not it.observe(one, START + 30 * round_)
    assert it.is_fresh(START + STALE - 1)
    assert not it.is_fresh(START + STALE)


def test_the_first_sight_is_no_news() -> None:
    """At the start the time counts from then: the Lease may have looked so for hours."""
    it = OperatorLease(STALE, START)
    assert it.is_fresh(START)
    assert not it.observe(lease("09:00:00"), START + 100)
    assert not it.is_fresh(START + STALE)


def test_another_holder_is_news() -> None:
    """A standby that takes over ends the silence, and a Lease that comes back from the dead can turn fresh again."""
    it = watched()
    assert not it.is_fresh(START + 500)
    assert it.observe(lease("09:00:10", holder="operator-2", transitions=4), START + 500)
    assert it.is_fresh(START + 500)


def test_late_answers_do_not_turn_time_back() -> None:
    """An answer to a request that was sent before other news does not age what is known."""
    it = watched()
    it.observe(lease("09:00:20"), START + 20)
    it.observe(lease("09:00:30"), START + 5)
    assert it.next_due(START + 21) == START + 20 + STALE
