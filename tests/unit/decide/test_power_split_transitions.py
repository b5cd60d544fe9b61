"""From one split to the next: lower first, confirm, then raise."""

from __future__ import annotations

import pytest

from ballast.decide.points.power_split import Change, Held, transitions


def test_lowering_is_due_and_raising_waits_for_it() -> None:
    held = {"a": Held(1, 300.0), "b": Held(1, 100.0)}
    after = {"a": 150.0, "b": 250.0}
    assert transitions(held, after, 400) == (Change("a", 150.0, is_due=True), Change("b", 250.0, is_due=False))
    asked = held | {"a": held["a"].asking(150.0)}
    assert transitions(asked, after, 400) == (Change("b", 250.0, is_due=False),)
    confirmed = held | {"a": Held(1, 150.0)}
    assert transitions(confirmed, after, 400) == (Change("b", 250.0, is_due=True),)
    assert transitions(confirmed | {"b": Held(1, 250.0)}, after, 400) == ()


def test_raising_is_due_as_far_as_there_is_room() -> None:
    held = {"a": Held(1, 100.0), "b": Held(1, 100.0), "c": Held(1, 300.0)}
    after = {"a": 250.0, "b": 120.0, "c": 130.0}
    assert transitions(held, after, 520) == (
        Change("c", 130.0, is_due=True),
        Change("a", 250.0, is_due=False),
        Change("b", 120.0, is_due=True),
    )


def test_an_ask_that_was_taken_back_counts_until_the_other_is_confirmed() -> None:
    held = {"a": Held(1, 100.0, (300.0, 100.0)), "b": Held(1, 100.0)}
    assert transitions(held, {"b": 200.0}, 400) == (Change("b", 200.0, is_due=False),)
    assert transitions(held | {"a": Held(1, 100.0)}, {"b": 200.0}, 400) == (Change("b", 200.0, is_due=True),)


def test_going_back_to_what_it_may_have_anyway_needs_no_room() -> None:
    held = {"a": Held(2, 300.0, (150.0,))}
    assert transitions(held, {"a": 300.0}, 100) == (Change("a", 300.0, is_due=True),)


def test_numbers_of_gpus_and_margins_count() -> None:
    held = {"a": Held(4, 100.0, margin=1.1)}
    assert transitions(held, {"a": 200.0}, 880) == (Change("a", 200.0, is_due=True),)
    assert transitions(held, {"a": 200.0}, 879) == (Change("a", 200.0, is_due=False),)


def test_who_is_not_named_keeps_what_it_has_and_counts() -> None:
    held = {"a": Held(1, 100.0), "b": Held(1, 300.0)}
    assert transitions(held, {"a": 150.0}, 440) == (Change("a", 150.0, is_due=False),)


def test_gpus_of_which_nothing_is_known_are_refused() -> None:
    with pytest.raises(ValueError, match="new"):
        transitions({"a": Held(1, 100.0)}, {"new": 150.0}, 1000)


def test_the_asks_of_an_agent_that_never_answers_stay_few() -> None:
    held = Held(1, 300.0)
    for limit in [150.0, 200.0, 250.0] * 50:
        held = held.asking(limit)
    assert held.asked_watts == (150.0, 200.0, 250.0)
    assert held.asking(150.0) == Held(1, 300.0, (200.0, 250.0, 150.0))
    assert (held.wanted_watts, held.bound_watts) == (250.0, 300.0)
