"""`activeDeadlineSeconds` bounds the time for which the gang runs, all attempts together, suspensions not counted."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.life.lifecycle import next_due
from ballast.decide.policy import Policy
from tests.builders import NOW, JobBuilder, at, job, pod
from tests.unit.decide.stepping import steps, told, write

LIMITED = job("one").with_spec(activeDeadlineSeconds=100)


def running(active_seconds: int = 0) -> JobBuilder:
    gang = LIMITED.running_on("a").with_status(active_seconds=active_seconds)
    return gang.with_job().with_pods(pod(0, of=gang).running_on("a"))


@pytest.mark.parametrize("before", [0, 60])
def test_earlier_attempts_count(before: int) -> None:
    assert steps(running(before), after=99.9 - before) == []
    action = write(running(before), after=100 - before)
    assert action.status.phase is Phase.SUSPENDING
    assert action.status.attempts[-1].outcome is Outcome.DEADLINE_EXCEEDED
    assert told(action).startswith("ran for activeDeadlineSeconds (100 s), all attempts together")


@pytest.mark.parametrize(("before", "left"), [(0, 100), (60, 40), (100, 0), (170, 0)])
def test_it_is_due_when_the_time_is_used_up(before: int, left: int) -> None:
    due = next_due(running(before).build(), NOW - 1, Policy())
    assert due == NOW + left


def test_then_the_job_has_failed_whatever_its_retry_limit() -> None:
    stopping = LIMITED.running_on("a").stopping(Outcome.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED)
    status = write(stopping, after=105).status
    assert (status.phase, status.reason) == (Phase.FAILED, Reason.DEADLINE_EXCEEDED)
    assert (status.failures, status.active_seconds) == (0, 105)


def test_waiting_and_starting_cost_nothing() -> None:
    placed = LIMITED.placed_on("a").with_job()
    assert steps(placed.with_pods(pod(0, of=placed).on("a")), after=500) == []


def test_what_an_attempt_ran_is_added_once_when_it_is_over() -> None:
    gang = LIMITED.running_on("a").with_status(active_seconds=30)
    stop = write(gang.suspended_by_its_owner().with_job(), after=5)
    assert stop.status.active_seconds == 30
    assert write(gang.stopping(Outcome.SUSPENDED, Reason.SUSPENDED), after=25).status.active_seconds == 55


def test_an_attempt_that_never_ran_adds_nothing() -> None:
    placed = LIMITED.placed_on("a").stopping(Outcome.ROLLED_BACK, Reason.PLACEMENT_TIMEOUT)
    assert write(placed, after=1000).status.active_seconds == 0


def test_a_limit_that_is_set_while_it_runs_holds() -> None:
    gang = job("one").running_on("a").with_job()
    free = gang.with_pods(pod(0, of=gang).running_on("a"))
    assert next_due(free.build(), NOW, Policy()) is None
    assert write(free.with_spec(activeDeadlineSeconds=5), after=60).status.phase is Phase.SUSPENDING


def test_success_in_the_last_moment_is_success() -> None:
    done = LIMITED.running_on("a").with_job(complete=True)
    assert write(done, after=1000).status.finished_at == at(1000)
