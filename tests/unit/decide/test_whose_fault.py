"""A failure is the trainer's, and counts, or the cluster's, and does not: told from how the pods ended."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import WriteStatus
from ballast.observe.parsing import _ENDED_BY_CLUSTER
from tests.builders import ROOMY, JobBuilder, NodeBuilder, PodBuilder, job, node, pod
from tests.unit.decide.stepping import steps, told, write

GANG = job("gang").replicas(2).running_on("a", "b")
PLACED = job("gang").replicas(2).placed_on("a", "b")
FIRST, SECOND = pod(0, of=GANG).on("a"), pod(1, of=GANG).on("b")
SILENT = (node("a"), node("b").not_ready())
GONE = (node("a"),)


def failed(*pods: PodBuilder, nodes: tuple[NodeBuilder, ...] = ROOMY, after: float = 0.0) -> WriteStatus:
    return write(GANG.with_job(failed=True).with_pods(*pods), after, nodes)


def blames_the_trainer(action: WriteStatus) -> bool:
    outcome = action.status.attempts[-1].outcome
    assert outcome in {Outcome.FAILED, Outcome.DISRUPTED}
    assert action.status.failures == (outcome is Outcome.FAILED)
    assert action.status.phase is Phase.QUEUED
    return outcome is Outcome.FAILED


@pytest.mark.parametrize("code", [1, 2, 127, 137, 139, 143])
def test_an_exit_code_is_the_trainers(code: int) -> None:
    assert blames_the_trainer(failed(FIRST.failed(code), SECOND.failed(1)))


@pytest.mark.parametrize("reason", [*sorted(_ENDED_BY_CLUSTER), "OutOfnvidia.com/gpu", "UnexpectedAdmissionError"])
def test_what_the_kubelet_ends_or_does_not_take_is_the_clusters(reason: str) -> None:
    action = failed(FIRST.rejected(reason, "of the node"), SECOND.failed(1))
    assert not blames_the_trainer(action)
    assert f"{reason}: of the node" in told(action)


@pytest.mark.parametrize(
    "reason",
    [
        "PreemptionByScheduler",
        "DeletionByTaintManager",
        "EvictionByEvictionAPI",
        "DeletionByPodGC",
        "TerminationByKubelet",
    ],
)
def test_a_disruption_explains_the_exit_codes_that_come_with_it(reason: str) -> None:
    action = failed(FIRST.failed(1, "peer lost"), SECOND.failed(143).disrupted(reason))
    assert not blames_the_trainer(action)
    assert action.status.attempts[-1].avoid == ("b",)


def test_another_reason_is_the_trainers() -> None:
    assert blames_the_trainer(failed(FIRST.failed(1), SECOND.failed(1).rejected("DeadlineExceeded").failed(1)))


def test_a_pod_that_was_deleted_and_killed_is_nobodys_exit_code() -> None:
    assert not blames_the_trainer(failed(FIRST.failed(143).being_deleted(), SECOND.succeeded()))


def test_but_pods_are_deleted_too_because_another_one_failed_by_itself() -> None:
    action = failed(FIRST.failed(143).being_deleted(), SECOND.failed(9))
    assert blames_the_trainer(action)
    assert "gang-1-1 exited with code 9" in told(action)


@pytest.mark.parametrize("nodes", [SILENT, GONE], ids=["silent", "gone"])
def test_a_lost_node_explains_the_exit_codes_of_the_others(nodes: tuple[NodeBuilder, ...]) -> None:
    # The Job's controller deletes the other pods when one fails; nobody sees that one end.
    winding_up = GANG.with_job(failing=True).with_pods(FIRST.failed(1), SECOND.running_on("b").being_deleted(60))
    assert steps(winding_up, after=89, nodes=nodes) == []
    action = write(winding_up, after=90, nodes=nodes)
    assert not blames_the_trainer(action)
    assert action.status.attempts[-1].reason == Reason.NODE_LOST
    assert action.status.attempts[-1].avoid == ("b",)


def test_a_pod_that_was_not_ungated_yet_does_not_excuse_the_one_that_failed() -> None:
    gated = pod(1, of=PLACED).gated().being_deleted()
    action = write(PLACED.with_job(failing=True).with_pods(pod(0, of=PLACED).on("a").failed(1), gated))
    assert blames_the_trainer(action)


def test_a_jobs_failure_is_not_judged_before_its_pods_are_heard_of() -> None:
    assert steps(GANG.with_job(failed=True).with_pods(FIRST.running_on("a"), SECOND.running_on("b"))) == []
    assert steps(GANG.with_job(failed=True).with_pods(FIRST.failed(1), SECOND.running_on("b"))) == []


def test_a_pod_without_an_exit_code_was_lost() -> None:
    action = failed(FIRST.failed(None, "node was deleted"), SECOND.succeeded())
    assert not blames_the_trainer(action)
    assert "pod gang-1-0 was lost: node was deleted" in told(action)


def test_of_pods_that_vanished_only_the_job_can_tell() -> None:
    assert not blames_the_trainer(failed())


RUNNING = GANG.with_job()


@pytest.mark.parametrize(
    "taken",
    [
        RUNNING.with_pods(FIRST.running_on("a"), SECOND.running_on("b").being_deleted(60)),
        RUNNING.with_pods(FIRST.running_on("a")),
        RUNNING.with_pods(FIRST.running_on("a"), pod(1, of=GANG).gated()),
        GANG.with_pods(FIRST.running_on("a"), SECOND.running_on("b")),
        GANG.with_job(deleting=True).with_pods(FIRST.running_on("a"), SECOND.running_on("b")),
    ],
    ids=["pod deleted", "pod vanished", "and is replaced", "Job gone", "Job deleted"],
)
def test_a_running_gang_that_loses_a_part_is_stopped_as_a_whole(taken: JobBuilder) -> None:
    action = write(taken)
    assert action.status.phase is Phase.SUSPENDING
    assert action.status.attempts[-1].outcome is Outcome.DISRUPTED


def test_a_pod_on_a_silent_node_is_waited_for_until_kubernetes_evicts_it() -> None:
    both = RUNNING.with_pods(FIRST.running_on("a"), SECOND.running_on("b"))
    assert steps(both, nodes=SILENT) == []
    evicted = SECOND.running_on("b").being_deleted(60).disrupted("DeletionByTaintManager")
    action = write(RUNNING.with_pods(FIRST.running_on("a"), evicted), nodes=SILENT)
    assert action.status.reason == Reason.NODE_LOST
