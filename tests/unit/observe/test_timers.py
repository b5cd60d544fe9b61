"""Everybody has one due time at most; whose time has come is told once, the earliest first."""

from __future__ import annotations

from ballast.observe.timers import Timers


def timers(**due: float) -> Timers:
    made = Timers()
    for owner, time in due.items():
        made.set(owner, time)
    return made


def test_who_is_due_is_told_once_the_earliest_first() -> None:
    made = timers(a=3, b=1, c=2)
    assert made.pop_due(2) == ["b", "c"]
    assert made.pop_due(2) == []
    assert made.next() == 3


def test_a_new_time_replaces_the_old_one() -> None:
    made = timers(a=1)
    made.set("a", 5)
    assert made.next() == 5
    assert made.pop_due(4) == []
    made.set("a", 2)
    assert made.pop_due(4) == ["a"]
    assert made.pop_due(10) == []


def test_never_is_a_time_too() -> None:
    made = timers(a=1, b=2)
    made.set("a", None)
    made.set("unknown", None)
    assert made.next() == 2
    assert made.pop_due(9) == ["b"]
    assert made.next() is None


def test_the_same_time_again_is_due_again() -> None:
    made = timers(a=1)
    made.pop_due(1)
    made.set("a", 1)
    assert made.pop_due(1) == ["a"]


def test_a_time_that_was_taken_back_and_set_again_is_told_once() -> None:
    made = timers(a=1)
    made.set("a", None)
    made.set("a", 1)
    assert made.pop_due(1) == ["a"]


def test_outdated_times_do_not_pile_up() -> None:
    made = timers(a=0)
    for time in range(1, 10_000):
        made.set("a", time)
    assert len(made._heap) < 100
    assert made.pop_due(10_000) == ["a"]
