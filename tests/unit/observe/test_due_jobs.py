"""Time alone brings a job before the next cycle: at the end of a pause, a deadline, a grace, and then no more."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Attempt, Outcome, Phase
from ballast.decide.actions import AskForRefusal, StopAttempt
from ballast.decide.policy import Policy
from ballast.observe.cluster_state import Kind
from ballast.observe.timers import FIRST_RETRY_SECONDS
from tests.builders import NOW, JobBuilder, at, job, pod
from tests.unit.observe.watched import Watched

ONE = job("one").with_gpus(1)
RUNNING = ONE.with_spec(activeDeadlineSeconds=300).running_on("a")
STOPPING = ONE.running_on("a").stopping(Outcome.SUSPENDED, Reason.SUSPENDED)
BACKING_OFF = ONE.after(Attempt(number=1, started_at=at(-9), outcome=Outcome.FAILED)).with_status(retry_at=at(40))


def due(state: Watched) -> float | None:
    seconds = state.state.seconds_to_next_due()
    return None if seconds is None else state.time + seconds - NOW


@pytest.mark.parametrize(
    ("of", "when"),
    [
        (RUNNING, 300),
        (BACKING_OFF, 40),
        (ONE.placed_on("a"), Policy().missing_pods_seconds),
        (ONE.with_spec(ttlSecondsAfterFinished=70).ended(Phase.SUCCEEDED), 71),
        (ONE, None),
        (ONE.suspended(), None),
        (ONE.running_on("a"), None),
        (ONE.ended(Phase.FAILED), None),
    ],
    ids=["deadline", "pause", "missing pods", "ttl", "waiting", "suspended", "running", "ended"],
)
def test_a_job_is_due_when_time_may_move_it(of: JobBuilder, when: float | None) -> None:
    state = Watched().sees(of)
    state.snapshot()
    assert due(state) == when
    if when is not None:
        state.time += when
        seen = state.snapshot()
        assert {each.name for each in (*seen.changed, *seen.review)} == {"one"}


def test_a_pod_that_is_to_end_is_looked_at_after_its_grace() -> None:
    state = Watched().sees(STOPPING, pod(0, of=STOPPING).on("a").being_deleted(60))
    assert due(state) == 60 + Policy().lost_pod_seconds


def test_a_pause_keeps_a_job_out_of_the_queue_until_it_is_over() -> None:
    state = Watched().sees(BACKING_OFF)
    assert state.waiting() == set()
    state.time += 40
    assert state.waiting() == {"one"}
    assert due(state) is None


def test_a_job_that_goes_is_due_no_more() -> None:
    state = Watched().sees(RUNNING)
    state.state.forget(Kind.TRAINING_JOB, "uid-of-one")
    assert due(state) is None


def test_a_rest_after_a_failure_comes_first() -> None:
    state = Watched().sees(RUNNING)
    state.state.reject(StopAttempt(RUNNING.training_job(), "one-1", "uid"))
    assert due(state) == FIRST_RETRY_SECONDS
    state.time += FIRST_RETRY_SECONDS
    state.snapshot()
    assert due(state) == 300


def test_the_moment_of_the_snapshot_counts_not_that_of_its_making() -> None:
    # Else a time that falls in between is lost: not yet in this cycle, and past for the next.
    state = Watched().sees(ONE.placed_on("a"))
    state.snapshot()
    state.time += 700
    state.state.snapshot(NOW + Policy().missing_pods_seconds, 10)
    assert state.state.snapshot(NOW + Policy().placement_timeout_seconds, 10).changed


def test_a_question_that_failed_is_asked_again() -> None:
    placed = ONE.placed_on("a")
    state = Watched().sees(placed).sees_job_of(placed)
    ask = AskForRefusal(placed.training_job(), "uid-of-one-1")
    state.state.assume(ask)
    [seen] = state.changed()
    assert seen.refused_pods == "", "it is asked"
    state.state.reject(ask)
    state.time += FIRST_RETRY_SECONDS
    [seen] = state.changed()
    assert seen.refused_pods is None
