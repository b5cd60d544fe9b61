"""What a job of mode Auto is to have: the found limit until it is measured, then what is learned to be better."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import ChosenPoint, Outcome, Phase
from ballast.decide.cycle import decide
from ballast.decide.operating_point import asks
from ballast.decide.points.auto_point import tuned
from ballast.decide.snapshot import Job
from tests.auto_builders import (
    LATER,
    auto_job,
    chosen,
    figures,
    held_gpus,
    known,
    measured_point,
    picture,
    profile,
    ready,
    statuses,
    watched,
    with_chosen,
)
from tests.builders import NOW, at, pod

GOOD = profile(
    measured_point(200.0, 9.8), measured_point(225.0, 9.9), measured_point(250.0, 9.95), measured_point(300.0)
)
"""Of a workload for which 200 W are allowed, and best of what was measured."""
TOLD = profile(*(measured_point(float(watts), 10 - (300 - watts) / 600) for watts in range(100, 325, 25)))
"""Of one of which all is known; 100 W are best."""


def point_of(job: Job) -> ChosenPoint | None:
    return tuned(job, watched())[0].job.status.operating_point


def limit_of(job: Job) -> float | None:
    point = point_of(job)
    return point.power_limit_watts if point is not None else None


def test_the_found_limit_is_measured_first() -> None:
    point = point_of(ready())
    assert point is not None
    assert (point.power_limit_watts, point.samples, point.lost_seconds) == (300.0, 0, 0.0)
    assert point.why.startswith("300 W, as found")


def test_nothing_is_asked_for_the_found_limit() -> None:
    assert asks(with_chosen(ready(), chosen(300.0))) == ()
    assert asks(with_chosen(replace(ready(), held_gpus={}), chosen(300.0))) == ()


def test_another_limit_is_asked_of_every_gpu() -> None:
    builder = auto_job(pods=2)
    found = asks(with_chosen(ready(builder), chosen(225.0)))
    assert [(each.pod_uid, each.power_limit_watts, each.max_clock_hertz) for each in found] == [
        (each.uid, 225.0, None) for each in builder.pods
    ]


def test_what_is_known_to_be_best_is_chosen() -> None:
    point = point_of(ready(learned=known(TOLD)))
    assert point is not None
    assert (point.power_limit_watts, point.samples) == (100.0, 72)
    assert "measured" in point.why


def test_what_an_admin_shares_is_as_good_as_ones_own() -> None:
    assert limit_of(ready(learned=known(shared=TOLD))) == 100.0


def test_what_was_measured_here_counts_more_than_what_an_admin_shares() -> None:
    slower = profile(*(measured_point(float(watts), 10 * (watts / 300)) for watts in (250, 275, 300)))
    assert (limit_of(ready(learned=known(slower, shared=TOLD))) or 0) > 200.0


def test_a_new_job_with_a_known_key_has_its_point_before_its_pods_start() -> None:
    builder = auto_job().with_status(phase=Phase.PLACING).with_pods(pod(0, auto_job()).gated())
    job = replace(builder.build(), learned=known(TOLD))
    actions = decide(picture(job, now=NOW + 5)).actions
    assert [type(action).__name__ for action in actions] == ["WriteStatus", "Ungate"]
    [write] = statuses(actions)
    assert write.status.phase is Phase.PLACING
    assert write.status.operating_point is not None
    placed = with_chosen(job, write.status.operating_point)
    assert [each.power_limit_watts for each in asks(placed)] == [100.0]


def test_one_that_is_placed_explores_nothing() -> None:
    builder = auto_job().with_status(phase=Phase.PLACING)
    assert limit_of(replace(builder.build(), learned=known(GOOD))) == 200.0


@pytest.mark.parametrize("mode", [{"mode": "None"}, {"mode": "Fixed", "powerLimit": "250W"}], ids=str)
def test_other_modes_are_never_moved(mode: dict[str, str]) -> None:
    job = ready(auto_job(operatingPoint=mode), learned=known(TOLD))
    assert tuned(job, watched()) == (job, None)


@pytest.mark.parametrize("mode", [{"mode": "None"}, {"mode": "Fixed", "powerLimit": "250W"}], ids=str)
def test_who_changes_the_mode_takes_the_choice_back(mode: dict[str, str]) -> None:
    job = with_chosen(ready(auto_job(operatingPoint=mode)), chosen(225.0))
    assert point_of(job) is None
    assert all(each.power_limit_watts != 225.0 for each in asks(job))


@pytest.mark.parametrize(
    "telemetry",
    [None, figures(LATER - 300), figures(age=300.0), figures(pods=0), replace(figures(), attempt=7)],
    ids=["none", "not-asked", "old", "no-pods", "another-attempt"],
)
@pytest.mark.parametrize("before", [None, chosen(225.0)], ids=["as-found", "at-225-W"])
def test_without_fresh_figures_nothing_changes(telemetry: Any, before: ChosenPoint | None) -> None:
    job = with_chosen(ready(learned=known(TOLD)), before)
    assert point_of(replace(job, telemetry=telemetry)) == before


def test_while_a_profile_is_written_nothing_is_chosen_by_the_old_one() -> None:
    job = with_chosen(ready(learned=known(TOLD, writing=True)), chosen(225.0))
    assert point_of(job) == job.job.status.operating_point


def test_gpus_shared_with_other_pods_stay_as_found() -> None:
    builder = auto_job()
    job = replace(ready(builder, learned=known(TOLD)), held_gpus=held_gpus(builder, shared=True))
    assert point_of(job) is None
    assert point_of(with_chosen(job, chosen(225.0))) is None


def test_gpus_that_tell_no_range_stay_as_found() -> None:
    job = ready(learned=known(TOLD, gpu=None))
    assert point_of(job) is None
    assert asks(job) == ()


def test_what_was_chosen_stays_while_an_agent_tells_nothing() -> None:
    job = with_chosen(ready(learned=known(TOLD, gpu=None)), chosen(225.0))
    assert point_of(job) == job.job.status.operating_point
    assert [each.power_limit_watts for each in asks(job)] == [225.0]


@pytest.mark.parametrize(("seconds", "limit"), [(20_100.0, 300.0), (20_000 * 1.03, 225.0), (10_000.0, 300.0)])
def test_a_deadline_leaves_so_much_time_and_no_more(seconds: float, limit: float) -> None:
    deadline = at(LATER - at(0).timestamp() + seconds).isoformat().replace("+00:00", "Z")
    speeds = {225.0: 9.8, 250.0: 9.95, 300.0: 10.0}
    job = ready(
        auto_job(deadline=deadline),
        learned=known(profile(*(measured_point(watts, speed) for watts, speed in speeds.items()))),
    )
    assert limit_of(job) == limit


def test_a_deadline_of_which_nobody_knows_whether_it_is_near_counts_as_near() -> None:
    job = ready(auto_job(deadline="2100-01-01T00:00:00Z"), learned=known(TOLD))
    assert limit_of(replace(job, telemetry=figures(seconds_left=None))) == 300.0
    assert limit_of(job) == 100.0


def test_the_record_goes_with_the_attempt() -> None:
    stopping = auto_job().with_status(operating_point=chosen(225.0)).stopping(Outcome.SUSPENDED, Reason.SUSPENDED)
    job = stopping.suspended_by_its_owner().with_pods().build()
    held = replace(job, pods=auto_job().build().pods)
    assert [each.power_limit_watts for each in asks(replace(held, learned=known()))] == [225.0]
    [write] = statuses(decide(picture(replace(job, workloads=()))).actions)
    assert write.status.phase is Phase.SUSPENDED
    assert write.status.operating_point is None
