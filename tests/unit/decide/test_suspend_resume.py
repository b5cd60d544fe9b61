"""`spec.suspend` is obeyed in every phase, and taking it back queues the job anew."""

from __future__ import annotations

import pytest

from ballast.api.conditions import ConditionType, Reason, find_condition, is_true
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import Transition
from ballast.decide.life.lifecycle import wants_place
from tests.builders import NOW, JobBuilder, at, job, pod
from tests.unit.decide.stepping import steps, told, write

SUSPENDED = job("gang").replicas(2).suspended_by_its_owner()
PLACED, RUNNING = SUSPENDED.placed_on("a", "b"), SUSPENDED.running_on("a", "b")


@pytest.mark.parametrize(
    "waiting",
    [SUSPENDED, SUSPENDED.told(Reason.WAITING_FOR_CAPACITY), SUSPENDED.after().with_status(retry_at=at(30))],
    ids=["new", "queued", "backing off"],
)
def test_a_waiting_job_leaves_the_queue(waiting: JobBuilder) -> None:
    action = write(waiting.at_generation(4))
    assert (action.transition, action.status.phase) == (Transition.SUSPEND, Phase.SUSPENDED)
    assert action.status.observed_generation == 4
    assert action.status.queue is None
    assert action.status.retry_at is None
    assert not wants_place(waiting.build(), NOW)


@pytest.mark.parametrize("held", [PLACED, PLACED.with_job(), RUNNING.with_job()], ids=["placed", "created", "running"])
def test_an_admitted_gang_is_stopped(held: JobBuilder) -> None:
    action = write(held)
    assert (action.transition, action.status.phase) == (Transition.STOP, Phase.SUSPENDING)
    assert action.status.attempts[-1].outcome is Outcome.SUSPENDED
    assert is_true(action.status.conditions, ConditionType.ADMITTED), "it holds its nodes until the pods are gone"
    assert told(action) == "spec.suspend is true; its pods get 120 s to save and end"
    assert action.note is not None
    assert not action.note.warning


def test_a_training_that_has_ended_well_is_not_suspended() -> None:
    assert write(RUNNING.with_job(complete=True)).status.phase is Phase.SUCCEEDED


def test_once_its_pods_are_gone_it_is_suspended_and_holds_nothing() -> None:
    action = write(RUNNING.stopping(Outcome.SUSPENDED, Reason.SUSPENDED), after=100)
    status = action.status
    assert (action.transition, status.phase) == (Transition.SUSPEND, Phase.SUSPENDED)
    assert status.placement == ()
    assert status.nodes is None
    assert (status.attempts[-1].outcome, status.attempts[-1].finished_at) == (Outcome.SUSPENDED, at(100))
    assert status.active_seconds == 100
    assert status.failures == 0
    assert not any(is_true(status.conditions, kind) for kind in ConditionType)


def test_resumed_while_it_is_being_stopped_it_is_queued_anew_at_once() -> None:
    resumed = RUNNING.with_spec(suspend=False).waiting_since(-500).stopping(Outcome.SUSPENDED, Reason.SUSPENDED)
    status = write(resumed, after=100).status
    assert status.phase is Phase.QUEUED
    assert status.queued_at == at(100)
    assert status.retry_at is None


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.DISRUPTED, Outcome.FAILED])
def test_whatever_ends_the_attempt_a_job_that_is_to_be_suspended_is_not_queued_again(outcome: Outcome) -> None:
    action = write(RUNNING.stopping(outcome, Reason.POD_DISRUPTED))
    assert action.status.phase is Phase.SUSPENDED
    assert action.status.attempts[-1].outcome is outcome


def test_while_it_is_suspended_nothing_happens() -> None:
    assert steps(job("gang").suspended(), after=10_000) == []


def test_a_resumed_job_goes_to_the_end_of_the_queue() -> None:
    resumed = job("gang").waiting_since(-5000).suspended().with_spec(suspend=False).at_generation(3)
    action = write(resumed, after=7)
    assert (action.transition, action.status.phase) == (Transition.QUEUE, Phase.QUEUED)
    assert action.status.queued_at == at(7)
    assert action.status.observed_generation == 3
    condition = find_condition(action.status.conditions, ConditionType.ADMITTED)
    assert condition is not None
    assert condition.reason == Reason.RESUMED


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_an_ended_job_stays_ended(phase: Phase) -> None:
    assert steps(SUSPENDED.ended(phase)) == []


def test_a_running_gang_that_nobody_suspends_goes_on() -> None:
    running = job("gang").replicas(2).running_on("a", "b")
    pods = (pod(0, of=running).running_on("a"), pod(1, of=running).running_on("b"))
    assert steps(running.with_job().with_pods(*pods)) == []
