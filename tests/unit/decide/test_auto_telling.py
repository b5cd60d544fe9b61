"""A job is told what was chosen for it, why, in numbers, and what became of it; and told again only if that changed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.conditions import Condition, ConditionType, Reason, find_condition
from ballast.api.jobstatus import TrainingJobStatus
from ballast.decide.actions import WriteStatus
from ballast.decide.cycle import decide
from ballast.decide.points.auto_point import is_reworded
from ballast.decide.snapshot import Job
from tests.auto_builders import (
    LATER,
    Trained,
    auto_job,
    chosen,
    held_gpus,
    known,
    measured_point,
    measurement,
    picture,
    profile,
    ready,
    statuses,
    with_chosen,
    with_status,
)
from tests.builders import at

WHY = "225 W of 300 W: 12 % fewer joules for 3 % more time, measured"


def told(job: Job) -> WriteStatus:
    [write] = statuses(decide(picture(job)).actions)
    return write


def condition(status: TrainingJobStatus) -> Condition:
    found = find_condition(status.conditions, ConditionType.OPERATING_POINT_SET)
    assert found is not None
    return found


def test_a_job_that_begins_as_found_is_told_why_without_an_event() -> None:
    write = told(ready())
    found = condition(write.status)
    assert (found.status.value, found.reason) == ("True", Reason.POINT_AS_FOUND)
    assert found.message.startswith("300 W, as found: slowdown is counted from there")
    assert write.note is None


def test_a_change_is_an_event_and_the_condition_waits_for_the_agents() -> None:
    own = profile(*(measured_point(float(watts), 9 + watts / 300) for watts in range(100, 325, 25)))
    write = told(with_chosen(ready(learned=known(own)), chosen(300.0, samples=1)))
    point = write.status.operating_point
    assert point is not None
    assert point.power_limit_watts < 300.0
    assert write.note is not None
    assert (write.note.reason, write.note.message, write.note.warning) == ("OperatingPointChosen", point.why, False)
    found = condition(write.status)
    assert (found.status.value, found.reason) == ("Unknown", Reason.POINT_PENDING)
    assert found.message.endswith(point.why)


def test_what_is_confirmed_is_told_with_the_reason_and_without_another_event() -> None:
    write = told(with_chosen(ready(), chosen(225.0, why=WHY, since=at(990))))
    found = condition(write.status)
    assert (found.status.value, found.reason) == ("True", Reason.POINT_CONFIRMED)
    assert found.message == f"1 GPU at 225 W; found at 300 W. {WHY}"
    assert write.note is None


def test_a_limit_that_is_being_lowered_is_not_confirmed_yet() -> None:
    job = with_chosen(ready(), chosen(225.0, why=WHY, since=at(990)), confirmed=False)
    found = condition(told(replace(job, held_gpus=held_gpus(auto_job(), 275.0))).status)
    assert (found.status.value, found.reason) == ("Unknown", Reason.POINT_PENDING)


def test_one_that_is_being_restored_is_not_as_found_yet() -> None:
    job = with_chosen(ready(), chosen(300.0, why="300 W, as found"), confirmed=False)
    found = condition(told(replace(job, held_gpus=held_gpus(auto_job(), 275.0))).status)
    assert (found.status.value, found.reason) == ("Unknown", Reason.POINT_PENDING)
    assert "1 of 1 GPUs are yet to be as they were found" in found.message


def test_nothing_is_said_of_gpus_that_no_agent_has_told() -> None:
    job = with_chosen(replace(ready(), held_gpus={}), chosen(300.0, why="300 W, as found"))
    [write] = statuses(decide(picture(job)).actions)
    assert find_condition(write.status.conditions, ConditionType.OPERATING_POINT_SET) is None


def test_a_refusal_is_a_warning() -> None:
    job = with_chosen(ready(), chosen(225.0, why=WHY, since=at(990)), confirmed=False)
    write = told(replace(job, held_gpus=held_gpus(auto_job(), problem="the agent may not set it")))
    assert (condition(write.status).status.value, condition(write.status).reason) == ("False", Reason.POINT_REFUSED)
    assert write.note is not None
    assert write.note.warning


@pytest.mark.parametrize(
    ("job", "words"),
    [
        (replace(ready(), held_gpus=held_gpus(auto_job(), shared=True)), "GPU-0 is shared with other pods"),
        (ready(learned=known(gpu=None)), "tell no range of power limits"),
    ],
    ids=["shared", "no-range"],
)
def test_a_job_for_which_nothing_can_be_chosen_says_so(job: Job, words: str) -> None:
    found = condition(told(job).status)
    assert (found.status.value, found.reason) == ("True", Reason.POINT_AS_FOUND)
    assert words in found.message


def test_a_job_of_mode_none_is_told_nothing_of_it() -> None:
    status = told(ready(auto_job(operatingPoint={"mode": "None"}))).status
    assert find_condition(status.conditions, ConditionType.OPERATING_POINT_SET) is None


def test_nothing_is_written_while_nothing_changes() -> None:
    trained = Trained()
    trained.live(20)
    trained.confirm()
    for _ in range(3):
        last = trained.cycle()
    assert last == []


def test_the_same_again_is_written_seldom() -> None:
    trained = Trained()
    trained.live(20)
    trained.confirm()
    written = [action for _ in range(10) for action in statuses(trained.cycle(trained.read()))]
    assert len(written) <= 3


def test_a_restarted_operator_writes_nothing_new() -> None:
    job = ready()
    again = with_status(job, told(job).status)
    assert [write.status.operating_point for write in statuses(decide(picture(again)).actions)] in (
        [],
        [again.job.status.operating_point],
    )


def test_a_measurement_that_begins_a_profile_anew_is_told_even_if_nothing_else_changes() -> None:
    strange = measured_point(300.0, 5.0, 285.0, samples=2, steps_per_second_deviation=0.01)
    own = profile(measured_point(300.0, 10.0), contradicting=strange)
    job = with_chosen(ready(learned=known(own)), chosen(300.0))
    write = told(replace(job, measurement=measurement(300.0, 5.0, 285.0, ended=LATER)))
    assert write.note is not None
    assert write.note.reason == "ProfileRenewed"


@pytest.mark.parametrize(
    ("after", "news"),
    [
        (WHY, False),
        (WHY.replace("12 %", "12.5 %"), False),
        (WHY.replace("12 %", "18 %"), True),
        (WHY.replace("225 W", "200 W"), False),
        (WHY.replace("measured", "predicted"), True),
        (WHY.replace("3 % more", "no more"), True),
    ],
)
def test_a_reason_is_told_anew_where_it_says_something_else(after: str, news: bool) -> None:
    assert is_reworded(WHY, after) == news
