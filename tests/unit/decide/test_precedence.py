"""A tight deadline gives a head start in the queue, a loose one none, and one that has passed none either."""

from __future__ import annotations

import pytest

from ballast.decide.policy import Policy
from ballast.decide.precedence import latest_start, precedence
from tests.builders import NOW, JobBuilder, job

HOUR = 3600.0
MOST = Policy().deadline_head_start_seconds


def head_start(waiting: JobBuilder, rank: int = 0, policy: Policy | None = None) -> float:
    return NOW - precedence(waiting.training_job(), NOW, rank, policy or Policy())


@pytest.mark.parametrize(
    ("hours", "given"),
    [(0.25, MOST - HOUR / 4), (1, MOST - HOUR), (5, MOST - 5 * HOUR), (6, 0.0), (48, 0.0)],
)
def test_it_is_what_the_latest_start_is_nearer_than_the_largest(hours: float, given: float) -> None:
    assert head_start(job("train").due_in(hours * HOUR)) == given


@pytest.mark.parametrize("seconds", [0, -1, -48 * HOUR])
def test_a_deadline_that_had_passed_gives_none(seconds: float) -> None:
    assert head_start(job("train").due_in(seconds)) == 0


def test_without_a_deadline_there_is_none() -> None:
    assert head_start(job("train")) == 0
    assert latest_start(job("train").training_job()) is None


def test_the_latest_start_is_the_deadline_while_nobody_knows_how_long_it_takes() -> None:
    assert latest_start(job("train").due_in(HOUR).training_job()) == NOW + HOUR


def test_it_adds_to_the_head_start_of_a_priority_class() -> None:
    assert head_start(job("train").due_in(HOUR), rank=2) == MOST - HOUR + 2 * Policy().aging_seconds


def test_an_admin_can_do_without() -> None:
    assert head_start(job("train").due_in(HOUR), policy=Policy(deadline_head_start_seconds=0)) == 0
