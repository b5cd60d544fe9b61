"""Choices that are made anew because time has passed: what it allows changes, and visits end."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest

from ballast.api.jobstatus import ChosenPoint
from ballast.decide.life.lifecycle import next_due
from ballast.decide.points.auto_point import LAST_VISITS, tuned
from ballast.decide.snapshot import Job
from tests.auto_builders import (
    LATER,
    WATCHED,
    auto_job,
    chosen,
    figures,
    known,
    measured_point,
    profile,
    ready,
    watched,
    with_chosen,
)
from tests.builders import NOW, at

TOLD = profile(*(measured_point(float(watts), 10 - (300 - watts) / 600, samples=100) for watts in range(100, 325, 25)))
"""Of a workload of which all is known; 100 W are best."""
FOUND = profile(measured_point(300.0, 10.0, 290.0, samples=1000))
"""Of one that only jobs ran which try nothing out."""
STEEP = profile(*(measured_point(watts, speed, samples=400) for watts, speed in ((100.0, 9.67), (300.0, 10.0))))
"""Of one for which only two limits are of interest."""
ENDS = LAST_VISITS * WATCHED.visit_seconds


def after(job: Job, seconds: float) -> ChosenPoint | None:
    """Return what stands in the status so long after the job began to run, its figures as they were then."""
    now = NOW + seconds
    assert job.telemetry is not None
    assert job.telemetry.training is not None
    told = figures(now, seconds_left=job.telemetry.training.seconds_left)
    return tuned(replace(job, telemetry=told), watched(now))[0].job.status.operating_point


def watts_after(job: Job, seconds: float) -> float | None:
    point = after(job, seconds)
    return point.power_limit_watts if point is not None else None


def test_a_job_whose_deadline_turns_out_to_be_far_is_chosen_for_again() -> None:
    deadline = at(900_000).isoformat().replace("+00:00", "Z")
    job = ready(auto_job(deadline=deadline), learned=known(TOLD))
    placed = with_chosen(job, chosen(300.0, samples=900, since=at(-20)))
    assert watts_after(placed, 20) == 300.0
    assert watts_after(placed, WATCHED.visit_seconds) == 100.0
    unknown = replace(job, telemetry=figures(seconds_left=None))
    nobody_knows = after(with_chosen(unknown, chosen(300.0, samples=900, since=at(-20))), WATCHED.visit_seconds)
    assert nobody_knows is not None
    assert nobody_knows.power_limit_watts == 300.0
    assert watts_after(with_chosen(job, nobody_knows), ENDS + 200) == 100.0


def test_a_long_job_with_a_key_of_which_little_is_known_learns_the_rest() -> None:
    placed = with_chosen(ready(learned=known(FOUND)), chosen(300.0, samples=1000, since=at(-20)))
    assert watts_after(placed, 20) == 300.0
    assert (watts_after(placed, WATCHED.visit_seconds) or 300.0) < 300.0


def test_the_longer_it_runs_the_more_seldom_it_is_asked() -> None:
    job = with_chosen(ready(learned=known(TOLD)), chosen(100.0, samples=900, since=at(-20)))
    times = []
    for seconds in range(0, 72_000, 60):
        point = after(job, float(seconds))
        if point != job.job.status.operating_point:
            times.append(seconds)
            assert point is not None
            assert point.power_limit_watts == 100.0
            assert point.lost_seconds == 0
            job = with_chosen(job, point)
    assert 10 < len(times) <= 40
    assert all(later - sooner >= seconds for sooner, later in pairwise(times) for seconds in (ENDS, sooner / 8))


@pytest.mark.parametrize("age", [5.0, 3000.0], ids=["fresh", "stale"])
def test_a_visit_that_is_never_measured_ends(age: float) -> None:
    own = profile(measured_point(300.0, 10.0, 290.0))
    job = with_chosen(ready(learned=known(own)), chosen(225.0, samples=8))
    now = NOW + ENDS
    point = tuned(replace(job, telemetry=figures(now, age=age)), watched(now))[0].job.status.operating_point
    assert point is not None
    assert point.power_limit_watts > 225.0
    assert "to learn" not in point.why
    assert point.lost_seconds > 0
    blind = replace(job, telemetry=figures(now - 1, age=3000.0))
    assert tuned(blind, watched(now - 1))[0] is blind


def test_without_figures_what_was_measured_stays() -> None:
    own = profile(measured_point(300.0, 10.0, 290.0), measured_point(100.0, 5.0))
    job = with_chosen(ready(learned=known(own), telemetry=None), chosen(100.0, samples=16))
    assert tuned(job, watched())[0] is job


def test_a_visit_upwards_stays_without_figures() -> None:
    own = profile(measured_point(300.0, 10.0, 290.0), measured_point(100.0, 9.9), measured_point(125.0, 9.9))
    job = with_chosen(ready(learned=known(own), telemetry=None), chosen(150.0, samples=24))
    assert tuned(job, watched())[0] is job


def test_it_is_looked_at_when_its_time_has_come() -> None:
    job = with_chosen(ready(), chosen(200.0, since=at(100)))
    assert next_due(job, NOW + 101, WATCHED) == NOW + 100 + WATCHED.visit_seconds
    assert next_due(job, NOW + 100 + WATCHED.visit_seconds, WATCHED) == NOW + 100 + ENDS
    fixed = ready(auto_job(operatingPoint={"mode": "None"}))
    assert next_due(with_chosen(fixed, chosen(200.0)), LATER, WATCHED) == next_due(fixed, LATER, WATCHED)


@pytest.mark.parametrize(("left", "watts"), [(20_000.0, 300.0), (19_000.0, 100.0), (None, 100.0)])
def test_no_job_is_stopped_because_of_its_limit(left: float | None, watts: float) -> None:
    """Of 21,060 s of running time 1000 s are over; at 100 W the work takes 3.4 % more time."""
    job = ready(auto_job().with_spec(activeDeadlineSeconds=21_060), learned=known(STEEP))
    job = replace(job, telemetry=figures(seconds_left=left))
    assert watts_after(job, 1000) == watts
    slower = with_chosen(job, chosen(100.0, samples=800, since=at(990)))
    late = figures(seconds_left=None if left is None else left * 1.034)
    assert watts_after(replace(slower, telemetry=late), 1000) == watts
