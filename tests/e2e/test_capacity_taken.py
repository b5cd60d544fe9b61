"""Another scheduler takes GPUs that were promised to a gang: nothing of it starts, and it is placed anew elsewhere."""

from __future__ import annotations

import signal

import pytest

from tests.conftest import HASTY
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import HOLDING_GATE, foreign_pod, training_job
from tests.e2e.namespace import Namespace, nodes_of
from tests.e2e.operators import Operators

A40 = {"nvidia.com/gpu.product": "NVIDIA-A40"}
NODES = {"a40-0", "a40-1"}


def _take(namespace: Namespace, node: str) -> None:
    """Take a GPU as another scheduler does."""
    namespace.kube.create(namespace.pods_path, foreign_pod("intruder", gpus=1, node=node, bound=True))


def _placed_elsewhere(namespace: Namespace, taken: str, phase: str) -> JsonObject:
    job = namespace.wait_for_job(
        "gang",
        lambda job: len(job["status"]["attempts"]) == 2 and job["status"]["phase"] == phase,
        f"the second attempt is {phase}",
    )
    assert {*nodes_of(job)} == NODES - {taken}
    first: JsonObject = job["status"]["attempts"][0]
    assert (first["outcome"], first["reason"]) == ("RolledBack", "CapacityTaken")
    assert f"node {taken} lacks 1 GPU" in first["message"]
    assert "CapacityTaken" in {event["reason"] for event in namespace.events("gang")}
    return job


@pytest.mark.parametrize("moment", ["after:status.Admit", "before:ungate"])
def test_while_the_pods_are_gated(moment: str, namespace: Namespace, operators: Operators, audit: AuditLog) -> None:
    operators.stop()
    namespace.submit(training_job("gang").pods(2).gpus(2).selects(A40).runs(seconds=600))
    with operators.start(failpoint=moment) as doomed:
        assert doomed.wait_until_dead() == -signal.SIGKILL, doomed.log_tail()
    [taken] = set(nodes_of(namespace.job("gang")))
    _take(namespace, taken)

    operators.shared(HASTY)
    _placed_elsewhere(namespace, taken, "Running")
    for pod in namespace.pods("gang"):
        assert pod["spec"]["nodeName"] != taken
    namespace.kube.delete(f"{namespace.pods_path}/intruder", gracePeriodSeconds=0)
    assert_nothing_left(namespace, audit)


@pytest.mark.usefixtures("hasty_operator")
def test_after_the_pods_were_let_go(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("gang").pods(2).gpus(2).selects(A40).held())
    namespace.wait_for_pods(
        lambda pods: len(pods) == 2 and all(_gates(pod) == [HOLDING_GATE] for pod in pods), "both pods are let go"
    )
    [taken] = set(nodes_of(namespace.job("gang")))
    _take(namespace, taken)
    _placed_elsewhere(namespace, taken, "Placing")
    namespace.kube.delete(f"{namespace.pods_path}/intruder", gracePeriodSeconds=0)
    assert_nothing_left(namespace, audit)


@pytest.mark.usefixtures("hasty_operator")
def test_when_there_is_nowhere_else_it_waits_until_they_are_free(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("gang").pods(2).gpus(2).on_node("a40-0").held())
    namespace.wait_for_phase("gang", "Placing")
    _take(namespace, "a40-0")
    assert "A40 3 of 4 free" in namespace.wait_until_refused("gang", "WaitingForCapacity")
    assert namespace.pods("gang") == []
    namespace.kube.delete(f"{namespace.pods_path}/intruder", gracePeriodSeconds=0)
    job = namespace.wait_for_phase("gang", "Placing")
    assert nodes_of(job) == ["a40-0", "a40-0"]
    assert_nothing_left(namespace, audit)


@pytest.mark.usefixtures("hasty_operator")
def test_a_running_gang_is_not_its_victim(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("gang").pods(2).gpus(2).on_node("a40-0").runs(seconds=3))
    namespace.wait_for_phase("gang", "Running")
    _take(namespace, "a40-0")
    status = namespace.wait_for_phase("gang", "Succeeded")["status"]
    assert len(status["attempts"]) == 1
    namespace.kube.delete(f"{namespace.pods_path}/intruder", gracePeriodSeconds=0)
    assert_nothing_left(namespace, audit)


def _gates(pod: JsonObject) -> list[str]:
    return [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]
