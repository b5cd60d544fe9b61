"""Curves are computed for what changed, and once for jobs that share what was learned."""

from __future__ import annotations

from dataclasses import replace

from ballast.decide.cycle import decide
from ballast.decide.points.auto_point import MOST_CURVES, curve_of
from tests.auto_builders import (
    auto_job,
    chosen,
    known,
    measured_point,
    measurement,
    picture,
    profile,
    ready,
    statuses,
    with_chosen,
)
from tests.builders import at


def computed() -> int:
    return curve_of.cache_info().misses


def test_jobs_with_the_same_profile_share_a_curve() -> None:
    own = profile(measured_point(300.0, 10.0), measured_point(225.0, 9.7))
    before = computed()
    decide(picture(*(ready(auto_job(f"job-{number}"), learned=known(own)) for number in range(50))))
    assert computed() - before <= 1


def test_a_burst_of_workloads_is_spread_over_cycles() -> None:
    jobs = []
    for number in range(MOST_CURVES + 30):
        own = profile(measured_point(300.0, 20.0 + number), measured_point(225.0, 19.0 + number))
        jobs.append(ready(auto_job(f"job-{number}"), learned=known(own)))
    # A job with a key of which the curve is made needs no other.
    jobs.append(replace(ready(auto_job("same")), learned=jobs[0].learned))
    before = computed()
    first = {
        write.job.metadata.name for write in statuses(decide(picture(*jobs)).actions) if write.status.operating_point
    }
    assert computed() - before == MOST_CURVES
    assert len(first) == MOST_CURVES + 1
    rest = [job for job in jobs if job.name not in first]
    assert all(write.status.operating_point for write in statuses(decide(picture(*rest)).actions))


def test_jobs_whose_profiles_have_nothing_new_need_no_curve() -> None:
    jobs = []
    for number in range(200):
        own = profile(measured_point(300.0, 11.0 + number), measured_point(225.0, 10.0 + number))
        jobs.append(
            with_chosen(ready(auto_job(f"job-{number}"), learned=known(own)), chosen(225.0, samples=16, since=at(980)))
        )
    own = profile(measured_point(300.0, 8.0), measured_point(225.0, 7.9), namespace="other")
    measured = ready(auto_job("one", "other"), learned=known(own), measurement=measurement(225.0, 7.9, 214.0))
    before = computed()
    decide(picture(*jobs, measured))
    assert computed() - before == 1
