"""Jobs of attempts that are over are removed, but for the latest that ended by itself: its pods have the logs."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Attempt, Outcome, Phase
from ballast.decide.actions import StopAttempt
from tests.builders import JobBuilder, at, job, pod
from tests.unit.decide.stepping import steps

EARLIER = Attempt(number=1, started_at=at(-100), outcome=Outcome.FAILED)
LATER = Attempt(number=2, started_at=at(-50), outcome=Outcome.FAILED)
QUEUED = job("one").after(EARLIER, LATER)


def second(of: JobBuilder) -> JobBuilder:
    """Return the job in its second attempt."""
    return of.with_status(attempts=(EARLIER, of.status.attempts[-1].model_copy(update={"number": 2})))


PLACED = second(job("one").placed_on("a"))
RUNNING = second(job("one").running_on("a"))


def removed(of: JobBuilder) -> set[str]:
    return {action.workload_name for action in steps(of) if isinstance(action, StopAttempt)}


@pytest.mark.parametrize("waiting", [QUEUED, QUEUED.suspended()], ids=["queued", "suspended"])
def test_the_logs_of_the_last_attempt_are_kept(waiting: JobBuilder) -> None:
    assert removed(waiting.with_job(of_attempt=2, failed=True)) == set()
    assert removed(waiting.with_job(of_attempt=1, failed=True)) == {"one-1"}


@pytest.mark.parametrize("live", [PLACED, RUNNING], ids=["placed", "running"])
def test_until_the_attempt_after_the_next(live: JobBuilder) -> None:
    with_pod = live.with_pods(pod(0, of=live).of_attempt(2).running_on("a")).with_job()
    assert removed(with_pod.with_job(of_attempt=1, failed=True)) == set()
    third = live.with_status(attempts=(*live.status.attempts[:-1], LATER.model_copy(update={"number": 3})))
    assert removed(third.with_job(of_attempt=1, failed=True).with_job(of_attempt=2, failed=True)) == {"one-1"}


@pytest.mark.parametrize("live", [QUEUED, PLACED, RUNNING], ids=["queued", "placed", "running"])
def test_a_job_that_an_operator_made_which_had_lost_its_leadership_is_removed(live: JobBuilder) -> None:
    assert "one-1" in removed(live.with_job(of_attempt=1))


def test_also_one_of_the_attempt_that_is_over() -> None:
    assert removed(QUEUED.with_job(of_attempt=2)) == {"one-2"}


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_an_ended_job_keeps_its_last_attempt_only(phase: Phase) -> None:
    ended = job("one").ended(phase)
    kept = ended.with_job(complete=phase is Phase.SUCCEEDED, failed=phase is Phase.FAILED)
    assert removed(kept) == set()
    assert removed(ended.with_job()) == {"one-1"}


def test_what_goes_already_is_left_alone() -> None:
    assert steps(QUEUED.with_job(of_attempt=1, deleting=True)) == []
    assert steps(QUEUED.with_job(of_attempt=1).being_removed("uid-of-one-1")) == []


def test_a_gang_that_is_being_stopped_is_not_over_for_that() -> None:
    stopping = RUNNING.stopping(Outcome.SUSPENDED, Reason.SUSPENDED).with_job(deleting=True)
    waiting = stopping.with_pods(pod(0, of=stopping).of_attempt(2).running_on("a").being_deleted(60))
    assert removed(waiting.with_job(of_attempt=1)) == {"one-1"}
