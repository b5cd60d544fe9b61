"""An attempt is stopped by deleting its Job, and over when its pods are really gone, or lost with their node."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import StopAttempt
from ballast.decide.policy import Policy
from tests.builders import JobBuilder, NodeBuilder, PodBuilder, job, node, pod
from tests.unit.decide.stepping import steps, write

STOPPING = job("gang").replicas(2).running_on("a", "b").stopping(Outcome.DISRUPTED, Reason.POD_DISRUPTED)
FIRST, SECOND = pod(0, of=STOPPING).running_on("a"), pod(1, of=STOPPING).running_on("b")
LOST = Policy().lost_pod_seconds


def test_first_its_job_is_deleted_by_uid() -> None:
    expected = StopAttempt(STOPPING.training_job(), "gang-1", "uid-of-gang-1")
    assert steps(STOPPING.with_job().with_pods(FIRST, SECOND)) == [expected]


@pytest.mark.parametrize(
    "under_way",
    [
        STOPPING.with_job().being_removed("uid-of-gang-1"),
        STOPPING.with_job(deleting=True).with_pods(FIRST.being_deleted(60)),
        STOPPING.with_pods(FIRST.being_deleted(60)),
        STOPPING.with_pods(FIRST),
        STOPPING.being_created(),
        STOPPING.being_ungated("uid-of-gang-1-0"),
    ],
    ids=["deleting the Job", "pods end", "the Job is gone", "orphan", "the Job is being made", "being ungated"],
)
def test_then_everything_under_way_is_waited_for(under_way: JobBuilder) -> None:
    assert steps(under_way) == []


def test_a_job_whose_pods_are_gone_is_not_over_before_the_job_is() -> None:
    # Its controller may still make pods.
    assert len(steps(STOPPING.with_job())) == 1
    assert write(STOPPING.with_job(deleting=True)).status.phase is Phase.QUEUED


@pytest.mark.parametrize("ended", [FIRST.failed(143), FIRST.succeeded(), FIRST.failed(None)])
def test_an_ended_pod_holds_nothing(ended: PodBuilder) -> None:
    assert write(STOPPING.with_pods(ended)).status.phase is Phase.QUEUED


def test_a_pod_that_never_got_a_node_is_gone_with_its_deletion() -> None:
    unbound = pod(0, of=STOPPING).gated()
    assert steps(STOPPING.with_pods(unbound)) == []
    assert write(STOPPING.with_pods(unbound.being_deleted(60))).status.phase is Phase.QUEUED


AWAY = (node("b"),)
SILENT = (node("a").not_ready(), node("b"))


@pytest.mark.parametrize("nodes", [AWAY, SILENT], ids=["node gone", "node not ready"])
def test_a_pod_on_a_lost_node_is_given_up_a_while_after_its_grace(nodes: tuple[NodeBuilder, ...]) -> None:
    leaving = STOPPING.with_pods(FIRST.being_deleted(60))
    assert steps(leaving, after=60 + LOST - 1, nodes=nodes) == []
    assert write(leaving, after=60 + LOST, nodes=nodes).status.phase is Phase.QUEUED


def test_but_not_while_its_node_answers() -> None:
    assert steps(STOPPING.with_pods(FIRST.being_deleted(60)), after=100_000) == []


def test_nor_while_nobody_has_deleted_it() -> None:
    assert steps(STOPPING.with_pods(FIRST), after=100_000, nodes=SILENT) == []


def test_a_training_that_ends_well_while_it_is_stopped_has_succeeded() -> None:
    action = write(STOPPING.with_job(complete=True).with_pods(FIRST.succeeded(), SECOND.succeeded()))
    assert action.status.phase is Phase.SUCCEEDED
    assert action.status.attempts[-1].outcome is Outcome.SUCCEEDED


@pytest.mark.parametrize(
    ("outcome", "reason", "phase"),
    [
        (Outcome.SUSPENDED, Reason.SUSPENDED, Phase.QUEUED),
        (Outcome.ROLLED_BACK, Reason.PLACEMENT_TIMEOUT, Phase.QUEUED),
        (Outcome.DISRUPTED, Reason.NODE_LOST, Phase.QUEUED),
        (Outcome.FAILED, Reason.POD_CANNOT_START, Phase.QUEUED),
        (Outcome.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED, Phase.FAILED),
    ],
)
def test_what_follows_is_what_was_decided_when_the_stop_began(outcome: Outcome, reason: Reason, phase: Phase) -> None:
    running = job("gang").replicas(2).running_on("a", "b")
    action = write(running.stopping(outcome, reason, "as told before"))
    attempt = action.status.attempts[-1]
    assert action.status.phase is phase
    assert (attempt.outcome, attempt.reason, attempt.message) == (outcome, reason, "as told before")
