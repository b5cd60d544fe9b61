"""What did not fit is remembered until something becomes free, or nodes are held for another job."""

from __future__ import annotations

from ballast.api.conditions import Reason
from ballast.decide.snapshot import Refusal
from ballast.observe.refusals import Refusals
from tests.builders import job

REFUSED = {job("train").gang(): Refusal(next(iter(Reason)), "no room")}


def remembering(held_for: str | None = None) -> Refusals:
    refusals = Refusals()
    refusals.remember({}, held_for, 0)
    assert refusals.since(1) == {}
    refusals.remember(REFUSED, held_for, 1)
    return refusals


def test_while_nothing_becomes_free_it_is_remembered() -> None:
    assert remembering().since(1) == REFUSED


def test_what_becomes_free_makes_it_worth_another_try() -> None:
    refusals = remembering()
    assert refusals.since(2) == {}
    assert refusals.since(2) == {}


def test_a_cycle_during_which_something_became_free_has_no_say() -> None:
    refusals = Refusals()
    refusals.since(1)
    refusals.remember(REFUSED, None, 2)
    assert refusals.since(1) == {}
    assert refusals.since(2) == {}


def test_when_nodes_are_held_for_another_job_it_is_tried_again() -> None:
    refusals = remembering("uid-of-one")
    refusals.remember(REFUSED, "uid-of-two", 1)
    assert refusals.since(1) == {}
    refusals.remember(REFUSED, "uid-of-two", 1)
    assert refusals.since(1) == REFUSED
