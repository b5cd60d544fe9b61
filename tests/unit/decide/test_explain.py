"""A waiting job is told why it waits, once for each reason."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.api.decision import DecisionKind
from ballast.api.jobstatus import Phase
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.explaining import explain
from ballast.decide.options import Option, Weighed
from ballast.decide.queueing import Admissions
from ballast.decide.snapshot import Refusal
from tests.builders import JobBuilder, at, job, snapshot

FULL = Refusal(Reason.WAITING_FOR_CAPACITY, "needs 1 pod x 8 GPUs; A100 0 of 8 free")
TOO_SMALL = Refusal(Reason.CLUSTER_TOO_SMALL, "needs 9 GPUs")


def weighing(against: str) -> Refusal:
    """Return the refusal of capacity with one option."""
    return replace(FULL, weighed=Weighed((Option("A100", 1, None, 5e6, 3600.0, 0.0, against),), 3600.0, True))


def told(waiting: JobBuilder, refusal: Refusal | None = FULL, admitted: tuple[str, ...] = ()) -> list[WriteStatus]:
    built = waiting.build()
    refusals = {built.gang: refusal} if refusal is not None and built.gang is not None else {}
    writes = tuple(WriteStatus(built.job, Transition.ADMIT, built.job.status) for uid in admitted if uid == built.uid)
    return explain(snapshot(waiting=[waiting]), Admissions(writes, refusals, None))


def test_a_new_job_is_told() -> None:
    [write] = told(job("train").with_gpus(8).waiting_since(-5))
    assert write.transition is Transition.QUEUE
    assert write.status.phase is Phase.QUEUED
    assert write.status.reason == Reason.WAITING_FOR_CAPACITY
    assert write.status.queued_at == at(-5)
    assert write.status.gpus == 8
    condition = find_condition(write.status.conditions, ConditionType.ADMITTED)
    assert condition is not None
    assert not condition.is_true
    assert condition.message == FULL.message


def test_who_was_told_is_not_told_again_though_the_numbers_changed() -> None:
    assert told(job("train").told(Reason.WAITING_FOR_CAPACITY)) == []


def test_another_reason_is_told() -> None:
    [write] = told(job("train").told(Reason.WAITING_FOR_CAPACITY), TOO_SMALL)
    assert write.status.reason == Reason.CLUSTER_TOO_SMALL


def test_a_changed_spec_is_told_of_anew() -> None:
    [write] = told(job("train").at_generation(2).told(Reason.WAITING_FOR_CAPACITY, generation=1))
    assert write.status.observed_generation == 2


def test_the_time_of_the_condition_stays_while_the_job_waits() -> None:
    waiting = job("train").waiting_since(-100).told(Reason.WAITING_FOR_CAPACITY)
    [write] = told(waiting, TOO_SMALL)
    assert write.status.conditions[0].last_transition_time == at(-100)


def test_waiting_for_capacity_is_normal_and_the_rest_a_warning() -> None:
    [patient] = told(job("train"))
    [hopeless] = told(job("train"), TOO_SMALL)
    assert patient.note is not None
    assert not patient.note.warning
    assert hopeless.note is not None
    assert hopeless.note.warning
    assert hopeless.note.message == TOO_SMALL.message


def test_an_admitted_job_is_not_told_that_it_waits() -> None:
    assert told(job("train"), admitted=("uid-of-train",)) == []


def test_a_job_whose_lane_was_not_tried_is_told_nothing_yet() -> None:
    assert told(job("train"), refusal=None) == []


def test_a_template_that_cannot_be_used_is_told_with_the_remedy() -> None:
    [write] = told(job("train").with_pod_spec(resourceClaims=[{"name": "gpu"}]))
    assert write.status.phase is Phase.QUEUED
    assert write.status.reason == Reason.INVALID_SPEC
    assert "ask for nvidia.com/gpu in the trainer's limits" in write.status.conditions[0].message


def test_who_waits_is_told_the_options() -> None:
    [write] = told(job("train").with_gpus(8), weighing("no room: 0 of 8 free"))
    decision = write.status.decision
    assert decision is not None
    assert (decision.at, decision.kind) == (at(0), DecisionKind.WAITING)
    assert [option.against for option in decision.options] == ["no room: 0 of 8 free"]


def test_options_are_told_anew_when_a_verdict_changes_and_not_for_a_number() -> None:
    [first] = told(job("train").with_gpus(8), weighing("no room: 0 of 8 free"))
    waiting = job("train").with_gpus(8).with_status(**dict(first.status))
    assert told(waiting, weighing("no room: 4 of 8 free")) == []
    [write] = told(waiting, weighing("held for a job that has waited 9 min"))
    assert write.note is None
    assert write.status.conditions == first.status.conditions
    assert write.status.decision is not None
    assert write.status.decision.options[0].against == "held for a job that has waited 9 min"


def test_another_reason_takes_the_options_of_the_last_one_away() -> None:
    [first] = told(job("train").with_gpus(8), weighing("no room: 0 of 8 free"))
    [write] = told(job("train").with_gpus(8).with_status(**dict(first.status)), TOO_SMALL)
    assert write.status.decision is None
