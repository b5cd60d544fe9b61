"""A running job is told how far its training is: coarsely, of its present attempt, as far as the trainer says."""

from __future__ import annotations

import math
from typing import Any

import pytest

from ballast.api.jobstatus import ProgressStatus
from tests.builders import at
from tests.unit.decide.reported import (
    LATER,
    after_report,
    figures,
    is_quiet,
    new_status,
    progress,
    running,
    trained,
)


def told_of(**training: Any) -> ProgressStatus:
    return progress(new_status(running(), figures(**trained(**training))))


def test_everything_that_the_trainer_reports_is_told_in_round_numbers() -> None:
    told = told_of(
        step=1234,
        total_steps=10_000,
        epoch=1.23456,
        metric=0.912345,
        best=0.887654,
        evaluations=7,
        steps_per_second=12.3456,
        seconds_left=712.0,
        reported_at=LATER - 3,
    )
    assert told == ProgressStatus(
        step=1234,
        total_steps=10_000,
        percent=12.0,
        epoch=1.235,
        metric=0.9123,
        best=0.8877,
        evaluations=7,
        missed_evaluations=0,
        steps_per_second=12.3,
        estimated_seconds_left=710.0,
        reported_at=at(997),
    )


def test_evaluations_that_nobody_knows_are_counted() -> None:
    report = figures(**trained(step=1, evaluations=100), missed_evaluations=9)
    told = after_report(running(), report)
    assert progress(told.job.status).missed_evaluations == 9
    more = figures(**trained(step=1, evaluations=100), missed_evaluations=12)
    assert progress(new_status(told, more)).missed_evaluations == 12


def test_a_trainer_that_only_tells_percents_has_no_step() -> None:
    told = told_of(percent=99.9)
    assert (told.step, told.percent) == (None, 99.0)


def test_a_step_more_is_no_news_and_a_percent_more_is() -> None:
    told = after_report(running(), figures(**trained(step=5001, total_steps=10_000)))
    assert is_quiet(told, figures(**trained(step=5099, total_steps=10_000)))
    assert progress(new_status(told, figures(**trained(step=5100, total_steps=10_000)))).step == 5100


def test_steps_without_a_goal_are_told_when_they_have_grown_noticeably() -> None:
    told = after_report(running(), figures(**trained(step=1000)))
    assert is_quiet(told, figures(**trained(step=1050)))
    assert progress(new_status(told, figures(**trained(step=1060)))).step == 1060


def test_the_step_is_told_with_other_news() -> None:
    told = after_report(running(), figures(**trained(step=1000, reported_at=LATER)))
    status = new_status(told, figures(**trained(step=1001, reported_at=LATER + 15), watts=900.0))
    assert (progress(status).step, progress(status).reported_at) == (1001, at(1015))


def test_a_new_attempt_may_begin_further_back() -> None:
    told = after_report(running(), figures(**trained(step=1000, total_steps=2000)))
    assert progress(new_status(told, figures(**trained(step=10, total_steps=2000)))).percent == 0.0


def test_what_was_told_stays_until_the_trainer_reports() -> None:
    told = after_report(running(), figures(**trained(step=1000)))
    assert is_quiet(told, figures())
    assert progress(new_status(told, figures(watts=900.0))).step == 1000


@pytest.mark.parametrize(
    ("first", "noise", "news"),
    [
        ({"metric": 0.5}, {"metric": 0.52}, {"metric": 0.6}),
        ({"best": 0.5}, {"best": 0.501}, {"best": 0.49}),
        ({"steps_per_second": 10.0}, {"steps_per_second": 10.9}, {"steps_per_second": 5.0}),
        ({"seconds_left": 1000.0}, {"seconds_left": 900.0}, {"seconds_left": 700.0}),
        ({"seconds_left": 60.0}, {"seconds_left": 35.0}, {"seconds_left": 20.0}),
        ({"epoch": 10.0}, {"epoch": 10.4}, {"epoch": 11.0}),
        ({"evaluations": 100}, {"evaluations": 104}, {"evaluations": 110}),
        (
            {"percent": 7.1, "total_steps": 100},
            {"percent": 7.9, "total_steps": 100},
            {"percent": 7.1, "total_steps": 99},
        ),
    ],
)
def test_small_changes_are_no_news(first: dict[str, Any], noise: dict[str, Any], news: dict[str, Any]) -> None:
    told = after_report(running(), figures(**trained(step=1, **first)))
    assert is_quiet(told, figures(**trained(step=1, **noise)))
    assert not is_quiet(told, figures(**trained(step=1, **news)))


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, -1.0])
def test_what_no_status_can_hold_is_absent(bad: float) -> None:
    told = told_of(
        step=1, epoch=bad, percent=bad, steps_per_second=bad, seconds_left=bad, reported_at=bad, total_steps=0
    )
    assert told == ProgressStatus(step=1)


def test_times_and_counts_beyond_all_measure_are_absent() -> None:
    assert told_of(step=10**18, percent=1.0, reported_at=1e300, evaluations=10**18) == ProgressStatus(percent=1.0)
