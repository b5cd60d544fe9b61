"""What an admin shares is of use where it is known to be of the same steps; jobs in the admin's own namespace."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.decide.cycle import decide
from ballast.decide.points.auto_point import tuned
from tests.auto_builders import (
    auto_job,
    known,
    measured_point,
    measurement,
    picture,
    profile,
    profiles,
    ready,
    statuses,
    watched,
)

HALVES = profile(*(measured_point(float(watts), 5 - (300 - watts) / 1200) for watts in (150, 175, 225, 250, 300)))
"""Of a workload whose steps are twice as large."""
SAME = profile(*(measured_point(float(watts), 10 - (300 - watts) / 600) for watts in (150, 175, 225, 250, 300)))


def test_steps_of_another_size_are_not_compared_with_ones_own() -> None:
    # By both, 200 W would be faster than what was found, and nobody would ever measure that again.
    fixed_jobs = profile(measured_point(200.0, 8.0, samples=40))
    point = tuned(ready(learned=known(fixed_jobs, shared=HALVES)), watched())[0].job.status.operating_point
    assert point is not None
    assert point.power_limit_watts == 300.0


def test_once_they_have_a_limit_in_common_they_are() -> None:
    own = profile(measured_point(200.0, 9.8), measured_point(300.0, 10.0))
    point = tuned(ready(learned=known(own, shared=SAME)), watched())[0].job.status.operating_point
    assert point is not None
    assert point.power_limit_watts < 200.0


def test_jobs_in_the_operators_namespace_are_told_why_nothing_is_learned_from_them() -> None:
    job = ready(auto_job(namespace="ballast-system"), learned=known(writing=True, is_admins=True))
    [write] = statuses(decide(picture(job)).actions)
    condition = find_condition(write.status.conditions, ConditionType.OPERATING_POINT_SET)
    assert condition is not None
    assert condition.reason == Reason.POINT_AS_FOUND
    assert "ballast-system, the operator's own namespace" in condition.message
    assert write.status.operating_point is None


def test_in_a_cycle_that_is_cut_off_nothing_is_entered() -> None:
    # Its jobs are looked at again with their measurements: they would be entered twice.
    job = ready(measurement=measurement())
    assert profiles(decide(picture(job)).actions)
    cut = decide(replace(picture(job), max_actions=2))
    assert not cut.complete
    assert not profiles(cut.actions)
