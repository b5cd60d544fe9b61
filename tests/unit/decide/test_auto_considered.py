"""The limits that a choice was made from stand in the status beside it, and are written only when it is."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.jobstatus import ChosenPoint
from ballast.decide.points.auto_point import tuned
from ballast.decide.snapshot import Job
from tests.auto_builders import LATER, known, measured_point, profile, ready, watched, with_chosen

GOOD = profile(
    measured_point(200.0, 9.8), measured_point(225.0, 9.9), measured_point(250.0, 9.95), measured_point(300.0)
)


def point_of(job: Job, now: float = LATER) -> ChosenPoint:
    point = tuned(job, watched(now))[0].job.status.operating_point
    assert point is not None
    return point


def test_the_one_that_nothing_speaks_against_is_the_one_that_was_chosen() -> None:
    point = point_of(ready(learned=known(GOOD)))
    assert [each.power_limit_watts for each in point.options if not each.against] == [point.power_limit_watts]
    assert {each.power_limit_watts for each in point.options if each.measured} == {200.0, 225.0, 250.0, 300.0}


def test_they_are_not_written_by_themselves() -> None:
    point = point_of(ready(learned=known(GOOD)))
    stripped = point.model_copy(update={"options": ()})
    assert point_of(with_chosen(ready(learned=known(GOOD)), stripped)) == stripped


def test_they_are_written_with_a_choice_that_rests_on_more() -> None:
    point = point_of(ready(learned=known(GOOD)))
    earlier = point.model_copy(update={"options": (), "samples": point.samples - 8})
    again = point_of(replace(with_chosen(ready(learned=known(GOOD)), earlier)))
    assert again.samples == point.samples
    assert [each.power_limit_watts for each in again.options if not each.against] == [again.power_limit_watts]
