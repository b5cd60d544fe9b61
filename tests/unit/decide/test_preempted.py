"""A job that was stopped for another one waits again at its old place, and has failed at nothing."""

from __future__ import annotations

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import StopAttempt, Transition
from tests.builders import at, job, pod
from tests.unit.decide.stepping import steps, told, write

WHY = "a job of priority 1000 needs the room, its own priority is 0; at most 1 kWh of work is lost"
STOPPED = job("train").waiting_since(-500).running_on("a").stopping(Outcome.PREEMPTED, Reason.PREEMPTED, WHY)


def test_its_job_is_deleted_and_its_pods_waited_for() -> None:
    running = STOPPED.with_job().with_pods(pod(0).running_on("a"))
    [action] = steps(running)
    assert isinstance(action, StopAttempt)
    leaving = STOPPED.with_job(deleting=True).with_pods(pod(0).running_on("a").being_deleted(120))
    assert steps(leaving) == []


def test_then_it_is_queued_again_at_once_with_its_old_age() -> None:
    written = write(STOPPED, after=60)
    assert written.transition is Transition.REQUEUE
    status = written.status
    assert (status.phase, status.reason, status.retry_at) == (Phase.QUEUED, "Preempted", None)
    assert status.queued_at == at(-500)
    assert status.failures == 0
    assert status.attempts[-1].outcome is Outcome.PREEMPTED
    assert status.attempts[-1].avoid == ()
    assert WHY in told(written)


def test_its_owner_may_suspend_it_meanwhile() -> None:
    assert write(STOPPED.suspended_by_its_owner(), after=60).status.phase is Phase.SUSPENDED
