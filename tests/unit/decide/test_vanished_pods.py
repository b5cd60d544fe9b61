"""Pods that nobody saw end: Kubernetes removes those of a deleted node at once, and then the rest of the gang."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.life.lifecycle import advance
from tests.builders import JobBuilder, NodeBuilder, PodBuilder, context, job, node, pod

RUNNING = job("gang").replicas(2).with_spec(retryLimit=0).running_on("a", "b")
FIRST, SECOND = pod(0, of=RUNNING).running_on("a"), pod(1, of=RUNNING).running_on("b")
A, B = node("a"), node("b")


def _write(of: JobBuilder, *nodes: NodeBuilder) -> WriteStatus:
    [write] = advance(of.build(), context(nodes))
    assert isinstance(write, WriteStatus)
    return write


@pytest.mark.parametrize("nodes", [(A,), (A, B.not_ready())], ids=["gone", "silent"])
def test_a_node_that_does_not_answer_explains_it(nodes: tuple[NodeBuilder, ...]) -> None:
    write = _write(RUNNING.with_job().with_pods(FIRST), *nodes)
    assert write.transition is Transition.STOP
    [attempt] = write.status.attempts
    assert (attempt.outcome, attempt.reason, attempt.avoid) == (Outcome.DISRUPTED, Reason.NODE_LOST, ("b",))
    assert attempt.message == "1 pod of the gang vanished: no answer from b"


def test_no_node_is_avoided_when_all_answer() -> None:
    [attempt] = _write(RUNNING.with_job().with_pods(FIRST), A, B).status.attempts
    assert (attempt.outcome, attempt.reason, attempt.avoid) == (Outcome.DISRUPTED, Reason.POD_DISRUPTED, ())
    assert attempt.message == "1 pod of the gang vanished"


@pytest.mark.parametrize("left", [(), (SECOND.failed(143),)], ids=["nothing", "the other pod's end"])
def test_it_is_not_the_trainers_failure_when_the_job_has_failed_with_it(left: tuple[PodBuilder, ...]) -> None:
    write = _write(RUNNING.with_job(failed=True).with_pods(*left), B)
    assert write.transition is Transition.REQUEUE
    assert write.status.failures == 0
    [attempt] = write.status.attempts
    assert (attempt.outcome, attempt.reason, attempt.avoid) == (Outcome.DISRUPTED, Reason.NODE_LOST, ("a",))
