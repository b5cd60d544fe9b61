"""Measurements of running jobs become points of their namespace's profiles, one write for each profile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.energyprofile import MAX_POINTS
from ballast.api.jobstatus import Phase
from ballast.decide.learning.learning import ENOUGH_SAMPLES, SELDOM_SECONDS, learn
from ballast.decide.learning.profile_keys import profile_name
from tests.auto_builders import CLOCK, KEY, LATER, MODEL, auto_job, known, measured_point, measurement, profile, ready
from tests.builders import at


def test_the_first_measurement_makes_a_profile() -> None:
    lessons = learn([ready(measurement=measurement(300.0, 10.0, 285.0))], LATER)
    [write] = lessons.writes
    assert (write.namespace, write.name, write.resource_version) == ("team", profile_name(KEY, MODEL), None)
    assert (write.spec.profile_key, write.spec.gpu_model) == (KEY, MODEL)
    [point] = write.spec.points
    assert point.operating_point == (1, 300.0, CLOCK)
    assert point.samples == 1
    assert (write.status.points, write.status.samples, write.status.best_power_limit_watts) == (1, 1, 300.0)
    assert write.status.best_joules_per_step == pytest.approx(28.5)
    [usable] = write.status.conditions
    assert (usable.type, usable.status.value) == ("Usable", "True")


def test_a_profile_is_written_as_it_was_read() -> None:
    own = profile(measured_point(300.0), version=41)
    [write] = learn([ready(learned=known(own), measurement=measurement(250.0, 9.8))], LATER).writes
    assert (write.name, write.resource_version) == ("resnet-a40", "41")
    assert [point.power_limit_watts for point in write.spec.points] == [250.0, 300.0]
    assert write.status.observed_generation == own.metadata.generation + 1


def test_measurements_of_all_jobs_with_the_key_make_one_write() -> None:
    jobs = [
        ready(auto_job("one"), measurement=measurement(300.0, 10.0)),
        ready(auto_job("two"), measurement=measurement(300.0, 10.1, ended=LATER - 3)),
        ready(auto_job("three"), measurement=measurement(250.0, 9.8)),
    ]
    lessons = learn(jobs, LATER)
    [write] = lessons.writes
    assert [(each.power_limit_watts, each.samples) for each in write.spec.points] == [(250.0, 1), (300.0, 2)]
    quiet = ready(auto_job("four"))
    taught = lessons.taught(quiet)
    assert taught.learned is not None
    assert taught.learned.own is not None
    assert taught.learned.own.spec == write.spec


def test_a_clock_that_is_ahead_makes_no_point_of_the_future() -> None:
    [write] = learn([ready(measurement=measurement(ended=LATER + 86_400))], LATER).writes
    assert write.spec.points[0].measured_at == at(1000)


def test_the_order_of_jobs_makes_no_difference() -> None:
    jobs = [ready(auto_job(f"j{n}"), measurement=measurement(300.0, 10 + n / 10, ended=LATER - n)) for n in range(4)]
    assert learn(jobs, LATER).writes == learn(jobs[::-1], LATER).writes


def test_each_namespace_learns_into_its_own_profile() -> None:
    jobs = [ready(auto_job("train", space), measurement=measurement()) for space in ("team", "other")]
    lessons = learn(jobs, LATER)
    assert [(write.namespace, write.status.samples) for write in lessons.writes] == [("team", 1), ("other", 1)]
    stranger = ready(auto_job("train", "third"))
    assert lessons.taught(stranger) is stranger


def test_what_an_admin_shares_is_never_written() -> None:
    shared = profile(measured_point(300.0), namespace="ballast-system")
    [write] = learn([ready(learned=known(shared=shared), measurement=measurement())], LATER).writes
    assert (write.namespace, write.resource_version, write.status.samples) == ("team", None, 1)


@pytest.mark.parametrize("mode", [{"mode": "Fixed", "powerLimit": "300W"}, {"mode": "None"}], ids=str)
def test_jobs_that_are_never_moved_are_learned_from(mode: dict[str, str]) -> None:
    builder = auto_job(operatingPoint=mode)
    assert len(learn([ready(builder, measurement=measurement())], LATER).writes) == 1


def test_nothing_is_learned_of_another_attempt_while_a_write_is_under_way_or_of_a_job_that_stops() -> None:
    old = ready(measurement=measurement(attempt=2))
    writing = ready(learned=known(writing=True), measurement=measurement())
    stopping = ready(auto_job().with_status(phase=Phase.SUSPENDING), measurement=measurement())
    cpu = replace(ready(measurement=measurement()), learned=None)
    assert learn([old, writing, stopping, cpu, ready()], LATER).writes == ()


def test_the_profile_says_that_the_found_limit_is_missing() -> None:
    [write] = learn([ready(measurement=measurement(200.0))], LATER).writes
    [usable] = write.status.conditions
    assert (usable.status.value, usable.reason) == ("False", "FoundLimitMissing")
    assert "300 W" in usable.message


def test_a_well_known_point_is_written_seldom() -> None:
    point = measured_point(300.0, 10.0, samples=ENOUGH_SAMPLES, measured_at=at(0))
    learned = known(profile(point))
    soon = measurement(300.0, 10.0, ended=at(60).timestamp())
    late = measurement(300.0, 10.0, ended=at(SELDOM_SECONDS).timestamp())
    assert learn([ready(learned=learned, measurement=soon)], LATER).writes == ()
    assert len(learn([ready(learned=learned, measurement=late)], late.ended_at).writes) == 1


def test_the_oldest_point_goes_when_there_are_too_many_and_never_the_highest_limit() -> None:
    points = [measured_point(100.0 + n, measured_at=at(n)) for n in range(MAX_POINTS - 1)]
    points.append(measured_point(300.0, measured_at=at(-9)))
    [write] = learn([ready(learned=known(profile(*points)), measurement=measurement(250.0))], LATER).writes
    limits = {point.power_limit_watts for point in write.spec.points}
    assert len(limits) == MAX_POINTS
    assert {250.0, 300.0} <= limits
    assert 100.0 not in limits


def test_a_limit_that_a_board_rounded_is_the_same_point() -> None:
    [write] = learn(
        [ready(learned=known(profile(measured_point(300.0, 10.0))), measurement=measurement(300.3, 10.0, 285.0))], LATER
    ).writes
    assert [(each.power_limit_watts, each.samples) for each in write.spec.points] == [(300.0, 9)]
