"""A gang that does not start as a whole in time is rolled back: it says what was stuck and why, and goes elsewhere."""

from __future__ import annotations

import pytest

from tests.conftest import HASTY
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.manifests import foreign_pod, training_job
from tests.e2e.namespace import Namespace, condition, nodes_of
from tests.e2e.operators import Operators

TIMEOUT_SECONDS = 5
PORT = {"containerPort": 29999, "hostPort": 29999}
A40 = {"nvidia.com/gpu.product": "NVIDIA-A40"}


@pytest.fixture(autouse=True)
def impatient_operator(operators: Operators) -> None:
    """An operator that gives gangs little time to start."""
    operators.shared({**HASTY, "BALLAST_PLACEMENT_TIMEOUT_SECONDS": str(TIMEOUT_SECONDS)})


def test_it_goes_elsewhere_and_says_why(namespace: Namespace, audit: AuditLog) -> None:
    # kube-scheduler counts host ports, which Ballast does not: a realistic reason for a pod not to be taken.
    container = {"name": "server", "image": "example.com/server:1", "ports": [PORT]}
    for node in ("a40-0", "a40-1"):
        pod = foreign_pod(f"server-{node}", gpus=0, node=node)
        pod["spec"]["containers"] = [container]
        namespace.kube.create(namespace.pods_path, pod)
    namespace.wait_for_pods(
        lambda pods: sum(pod["status"]["phase"] == "Running" for pod in pods) == 2, "the servers run"
    )
    namespace.submit(training_job("gang").pods(2).gpus(1).selects(A40).trainer(ports=[PORT]).runs(seconds=600))
    first = namespace.wait_for_phase("gang", "Placing")
    [stuck_on] = set(nodes_of(first))
    [other] = {"a40-0", "a40-1"} - {stuck_on}
    job = namespace.wait_for_job("gang", lambda job: len(job["status"]["attempts"]) == 2, "there is a second attempt")

    [attempt, _] = job["status"]["attempts"]
    assert (attempt["outcome"], attempt["reason"]) == ("RolledBack", "PlacementTimeout")
    assert "pod gang-1-0" in attempt["message"]
    assert "free ports" in attempt["message"]
    assert attempt["avoid"] == [stuck_on]
    assert set(nodes_of(job)) == {other}
    assert job["status"].get("failures", 0) == 0
    event = namespace.wait_for_event("gang", "PlacementTimeout")
    assert event["type"] == "Warning"
    assert "free ports" in event["message"]
    for node in (stuck_on, other):
        namespace.kube.delete(f"{namespace.pods_path}/server-{node}", gracePeriodSeconds=0)
    assert_nothing_left(namespace, audit)


def test_while_it_waits_for_the_next_try_the_condition_says_why(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("gang").pods(2).gpus(1).on_node("a40-0").held())
    message = namespace.wait_until_refused("gang", "PlacementTimeout")
    assert "2 of 2 pods did not run" in message
    job = namespace.job("gang")
    assert job["status"]["attempts"][-1]["outcome"] == "RolledBack"
    assert (condition(job, "Placed") or {"status": "False"})["status"] == "False"
    assert namespace.pods("gang") == []
    assert_nothing_left(namespace, audit)


def test_nothing_of_the_gang_stays_when_one_pod_is_stuck(namespace: Namespace, audit: AuditLog) -> None:
    # One host port for two pods of one node: the second is stuck beside the first, which runs.
    namespace.submit(training_job("gang").pods(2).gpus(1).on_node("a40-0").trainer(ports=[PORT]).runs(seconds=600))
    message = namespace.wait_until_refused("gang", "PlacementTimeout")
    assert "1 of 2 pods did not run" in message
    assert "free ports" in message
    assert namespace.pods("gang") == []
    status = namespace.job("gang")["status"]
    assert status["attempts"][0]["avoid"] == ["a40-0"]
    assert_nothing_left(namespace, audit)
