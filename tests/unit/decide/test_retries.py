"""What goes wrong is tried again: after a pause that grows, and for the trainer's fault at most `retryLimit` times."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Attempt, Outcome, Phase
from ballast.decide.actions import Transition
from ballast.decide.life.lifecycle import wants_place
from ballast.decide.policy import Policy
from tests.builders import NOW, JobBuilder, at, job, pod
from tests.unit.decide.stepping import told, write

ONE = job("one").waiting_since(-60)


def failing(of: JobBuilder, failures: int = 0) -> JobBuilder:
    running = of.running_on("a").with_status(failures=failures)
    return running.with_job(failed=True).with_pods(pod(0, of=running).on("a").failed(3, "NaN"))


def stopped(outcome: Outcome, *before: Attempt, running_at: float | None = None) -> JobBuilder:
    placed = ONE.placed_on("a", attempt=len(before) + 1)
    last = placed.status.attempts[-1].model_copy(
        update={"running_at": at(running_at) if running_at is not None else None}
    )
    return placed.with_status(attempts=(*before, last)).stopping(outcome, Reason.PLACEMENT_TIMEOUT)


def attempt(number: int, outcome: Outcome) -> Attempt:
    return Attempt(number=number, started_at=at(-100), outcome=outcome)


def test_a_failed_trainer_is_queued_again_and_counted() -> None:
    action = write(failing(ONE), after=5)
    status = action.status
    assert (action.transition, status.phase) == (Transition.REQUEUE, Phase.QUEUED)
    assert status.failures == 1
    assert status.retry_at == at(15)
    assert status.queued_at == at(-60), "it keeps its place"
    assert status.placement == ()
    assert told(action) == (
        "attempt 1 ended (failure 1, retryLimit 3): pod one-1-0 exited with code 3: NaN; tried again in 10 s"
    )


@pytest.mark.parametrize(("failures", "pause"), [(0, 10), (1, 20), (2, 40)])
def test_the_pause_doubles_with_each_failure(failures: int, pause: int) -> None:
    assert write(failing(ONE, failures)).status.retry_at == at(pause)


@pytest.mark.parametrize(("times", "pause"), [(1, 10), (2, 20), (6, 320), (7, 600), (1000, 600)])
def test_a_pause_has_an_upper_limit(times: int, pause: float) -> None:
    assert Policy().pause(times) == pause


@pytest.mark.parametrize(("limit", "failures", "phase"), [(0, 0, "Failed"), (2, 1, "Queued"), (2, 2, "Failed")])
def test_the_retry_limit_counts_retries_not_attempts(limit: int, failures: int, phase: str) -> None:
    status = write(failing(ONE.with_spec(retryLimit=limit), failures)).status
    assert (status.phase, status.failures) == (phase, failures + 1)


def test_a_limit_that_was_lowered_meanwhile_holds() -> None:
    assert write(failing(ONE.with_spec(retryLimit=1), 3)).status.phase is Phase.FAILED


@pytest.mark.parametrize("outcome", [Outcome.ROLLED_BACK, Outcome.DISRUPTED, Outcome.SUSPENDED])
def test_what_is_not_the_trainers_fault_does_not_count(outcome: Outcome) -> None:
    status = write(stopped(outcome).with_spec(retryLimit=0)).status
    assert (status.phase, status.failures) == (Phase.QUEUED, 0)


def test_after_a_first_disruption_there_is_no_pause() -> None:
    action = write(stopped(Outcome.DISRUPTED))
    assert action.status.retry_at is None
    assert told(action).endswith("; queued again")


@pytest.mark.parametrize(("before", "pause"), [(0, 10), (1, 20), (3, 80)])
def test_placements_that_come_to_nothing_pause_longer_each_time(before: int, pause: int) -> None:
    earlier = [attempt(number + 1, Outcome.ROLLED_BACK) for number in range(before)]
    assert write(stopped(Outcome.ROLLED_BACK, *earlier)).status.retry_at == at(pause)


@pytest.mark.parametrize(("ran", "pause"), [(599, 20), (600, None)], ids=["a while", "long enough"])
def test_an_attempt_that_ran_for_the_longest_pause_is_a_new_beginning(ran: int, pause: int | None) -> None:
    action = write(stopped(Outcome.DISRUPTED, attempt(1, Outcome.DISRUPTED), running_at=-ran))
    assert action.status.retry_at == (None if pause is None else at(pause))


def test_nobody_wants_a_place_before_the_pause_is_over() -> None:
    pausing = ONE.after(attempt(1, Outcome.FAILED)).with_status(retry_at=at(10)).build()
    assert not wants_place(pausing, NOW + 9.9)
    assert wants_place(pausing, NOW + 10)
