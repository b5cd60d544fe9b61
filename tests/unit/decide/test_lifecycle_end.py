"""How a job ends: well, with a trainer's exit code and last words, or because somebody deleted its Job."""

from __future__ import annotations

import pytest

from ballast.api.conditions import ConditionType, Reason, is_true
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.life.lifecycle import advance
from tests.builders import NOW, JobBuilder, at, context, job, pod

RUNNING = job("gang").replicas(2).with_spec(retryLimit=0).running_on("a", "b")
FIRST, SECOND = pod(0, of=RUNNING), pod(1, of=RUNNING)


def end(of: JobBuilder, after: float = 90) -> WriteStatus:
    [write] = advance(of.build(), context(now=NOW + after))
    assert isinstance(write, WriteStatus)
    return write


def told(write: WriteStatus) -> str:
    assert write.note is not None
    return write.note.message


def test_a_running_job_is_left_alone() -> None:
    pods = (FIRST.running_on("a"), SECOND.running_on("b"))
    assert advance(RUNNING.with_job().with_pods(*pods).build(), context()) == []


def test_success() -> None:
    write = end(RUNNING.with_job(complete=True))
    assert write.transition is Transition.SUCCEED
    assert write.status.phase is Phase.SUCCEEDED
    assert write.status.reason == Reason.TRAINING_SUCCEEDED
    assert write.status.finished_at == at(90)
    [attempt] = write.status.attempts
    assert (attempt.outcome, attempt.finished_at) == (Outcome.SUCCEEDED, at(90))
    assert told(write) == "2 pods finished with exit code 0, 90 s after they started"


def test_failure_names_the_pod_its_exit_code_and_its_words() -> None:
    pods = (FIRST.on("a").failed(143), SECOND.failed(7, "out of memory"))
    write = end(RUNNING.with_job(failed=True).with_pods(*pods))
    assert write.transition is Transition.FAIL
    assert write.status.phase is Phase.FAILED
    assert write.status.reason == Reason.TRAINER_FAILED
    assert write.status.attempts[-1].outcome is Outcome.FAILED
    what = "pod gang-1-1 exited with code 7 (2 of 2 pods failed): out of memory"
    assert told(write) == f"{what} (1 failure, retryLimit 0), 90 s after they started"
    assert write.note is not None
    assert write.note.warning


def test_of_several_failed_pods_the_first_that_ended_by_itself_speaks() -> None:
    write = end(RUNNING.with_job(failed=True).with_pods(SECOND.failed(1, "peer lost"), FIRST.failed(3)))
    assert told(write).startswith("pod gang-1-0 exited with code 3 (2 of 2 pods failed)")


@pytest.mark.parametrize("killed", [137, 143])
def test_a_pod_that_was_killed_does_not_speak_for_one_that_ended_by_itself(killed: int) -> None:
    write = end(RUNNING.with_job(failed=True).with_pods(SECOND.failed(1, "peer lost"), FIRST.failed(killed)))
    assert told(write).startswith("pod gang-1-1 exited with code 1 (2 of 2 pods failed): peer lost")


def test_failure_before_it_ran() -> None:
    placed = job("one").with_spec(retryLimit=0).placed_on("a")
    write = end(placed.with_job(failed=True).with_pods(pod(0, of=placed).failed(2)))
    assert write.status.phase is Phase.FAILED
    assert told(write) == "pod one-1-0 exited with code 2 (1 failure, retryLimit 0)"


@pytest.mark.parametrize("complete", [True, False])
def test_an_ended_job_is_no_longer_admitted_placed_or_running(complete: bool) -> None:
    ended = RUNNING.with_job(complete=complete, failed=not complete)
    conditions = end(ended if complete else ended.with_pods(FIRST.failed(1))).status.conditions
    told_by = ConditionType.COMPLETE if complete else ConditionType.FAILED
    assert [c.type for c in conditions if is_true(conditions, c.type)] == [told_by]
    for held in (ConditionType.ADMITTED, ConditionType.PLACED, ConditionType.RUNNING):
        condition = next(c for c in conditions if c.type == held)
        assert condition.reason == Reason.FINISHED


def test_a_condition_that_never_held_is_not_made_up() -> None:
    placed = job("one").with_spec(retryLimit=0).placed_on("a")
    write = end(placed.with_job(failed=True).with_pods(pod(0, of=placed).failed(2)))
    assert {c.type for c in write.status.conditions} == {ConditionType.ADMITTED, ConditionType.FAILED}


@pytest.mark.parametrize("phase", [Phase.SUCCEEDED, Phase.FAILED])
def test_an_ended_job_is_never_touched_again(phase: Phase) -> None:
    ended = job("gang").replicas(2).ended(phase)
    for later in (ended, ended.with_job(failed=True), ended.with_job(complete=True)):
        assert advance(later.build(), context()) == []


def test_a_job_without_an_attempt_needs_no_step() -> None:
    assert advance(job("new").build(), context()) == []
