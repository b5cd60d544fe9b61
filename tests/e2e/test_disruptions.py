"""What the cluster or a person takes from a running gang ends its attempt, not the job, and is not its failure."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.aftermath import assert_nothing_left, assert_whole_nodes_are_free
from tests.e2e.audit import AuditLog
from tests.e2e.kube import Kube
from tests.e2e.manifests import foreign_pod, training_job
from tests.e2e.namespace import Namespace
from tests.e2e.priority_classes import priority_class

NODE = "a40-0"

pytestmark = pytest.mark.usefixtures("hasty_operator")


@pytest.fixture
def gang(namespace: Namespace) -> str:
    """A running gang of two pods on one node, that may not fail even once."""
    namespace.submit(training_job("gang").pods(2).gpus(2).torchrun().on_node(NODE).runs(seconds=600).spec(retryLimit=0))
    namespace.wait_for_phase("gang", "Running")
    return "gang"


@pytest.fixture
def urgent(kube: Kube) -> Iterator[str]:
    """A class whose pods push others out."""
    with priority_class(kube, "ballast-test-urgent", 1_000_000, preempts=True) as name:
        yield name


def _runs_again(namespace: Namespace, gang: str) -> str:
    """Wait for the second attempt; return what is said of the first."""
    job = namespace.wait_for_job(
        gang,
        lambda job: job["status"]["phase"] == "Running" and len(job["status"]["attempts"]) == 2,
        "the second attempt runs",
    )
    first, _ = job["status"]["attempts"]
    assert (first["outcome"], first["reason"]) == ("Disrupted", "PodDisrupted")
    assert job["status"].get("failures", 0) == 0
    message: str = first["message"]
    return message


def test_an_evicted_pod(namespace: Namespace, gang: str, audit: AuditLog) -> None:
    pod = namespace.pods(gang)[1]["metadata"]["name"]
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": namespace.name}}
    namespace.kube.create(f"{namespace.pods_path}/{pod}/eviction", eviction)
    message = _runs_again(namespace, gang)
    assert pod in message
    assert "EvictionByEvictionAPI" in message
    assert namespace.wait_for_event(gang, "PodDisrupted")["type"] == "Warning"
    assert_nothing_left(namespace, audit)


def test_a_preempted_pod(namespace: Namespace, gang: str, urgent: str, audit: AuditLog) -> None:
    intruder = foreign_pod("urgent", gpus=1, node=NODE, priorityClassName=urgent)
    namespace.kube.create(namespace.pods_path, intruder)
    namespace.wait_until_refused(gang, "WaitingForCapacity")
    namespace.kube.delete(f"{namespace.pods_path}/urgent", gracePeriodSeconds=0)
    assert "PreemptionByScheduler" in _runs_again(namespace, gang)
    assert_nothing_left(namespace, audit)


@pytest.mark.parametrize("grace", [{}, {"gracePeriodSeconds": 0}], ids=["gracefully", "by-force"])
def test_a_deleted_pod(namespace: Namespace, gang: str, audit: AuditLog, grace: dict[str, object]) -> None:
    pod = namespace.pods(gang)[0]["metadata"]["name"]
    namespace.kube.delete(f"{namespace.pods_path}/{pod}", **grace)
    _runs_again(namespace, gang)
    assert_nothing_left(namespace, audit)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_a_deleted_job(namespace: Namespace, gang: str, audit: AuditLog, propagation: str) -> None:
    namespace.kube.delete(f"{namespace.workloads_path}/gang-1", propagationPolicy=propagation)
    assert "gang-1 was deleted" in _runs_again(namespace, gang)
    assert_nothing_left(namespace, audit)


def test_a_job_deleted_without_its_pods(namespace: Namespace, gang: str, audit: AuditLog) -> None:
    namespace.kube.delete(f"{namespace.workloads_path}/gang-1", propagationPolicy="Orphan")
    namespace.wait_for_phase(gang, "Suspending")
    namespace.submit(training_job("next").gpus(4).on_node(NODE).runs(seconds=600))
    assert "A40 0 of 4 free" in namespace.wait_until_refused("next", "WaitingForCapacity")
    assert {pod["status"]["phase"] for pod in namespace.pods(gang)} == {"Running"}

    namespace.kube.delete(namespace.pods_path)  # nobody else will: they are on their own now
    namespace.delete_job("next")
    _runs_again(namespace, gang)
    assert_nothing_left(namespace, audit)


@pytest.fixture
def placing(namespace: Namespace) -> set[str]:
    """The UIDs of the pods of a gang that do not start yet."""
    namespace.submit(training_job("gang").pods(2).gpus(2).on_node(NODE).held())
    pods = namespace.wait_for_pods(lambda pods: len(pods) == 2, "both pods exist")
    return {pod["metadata"]["uid"] for pod in pods}


def test_a_pod_deleted_before_it_runs(namespace: Namespace, placing: set[str], audit: AuditLog) -> None:
    namespace.kube.delete(f"{namespace.pods_path}/{namespace.pods('gang')[0]['metadata']['name']}")
    job = namespace.wait_for_job(
        "gang",
        lambda job: job["status"]["phase"] == "Placing" and len(job["status"]["attempts"]) == 2,
        "it is placed again",
    )
    assert job["status"]["attempts"][0]["outcome"] == "Disrupted"
    assert job["status"].get("failures", 0) == 0
    namespace.wait_for_pods(
        lambda pods: len(pods) == 2 and placing.isdisjoint(pod["metadata"]["uid"] for pod in pods), "there are new pods"
    )
    assert_nothing_left(namespace, audit)


def test_a_job_deleted_before_it_runs(namespace: Namespace, placing: set[str]) -> None:
    namespace.kube.delete(f"{namespace.workloads_path}/gang-1", propagationPolicy="Background")
    namespace.wait_for_pods(
        lambda pods: len(pods) == 2 and placing.isdisjoint(pod["metadata"]["uid"] for pod in pods), "there are new pods"
    )
    job = namespace.wait_for_phase("gang", "Placing")
    assert job["status"].get("failures", 0) == 0
    namespace.delete_job("gang")
    namespace.wait_until_gone()
    assert_whole_nodes_are_free(namespace, [NODE])


def test_a_deleted_service_comes_back_with_the_next_attempt(namespace: Namespace, gang: str, audit: AuditLog) -> None:
    namespace.kube.delete(f"{namespace.services_path}/gang-gang")
    namespace.kube.delete(f"{namespace.workloads_path}/gang-1", propagationPolicy="Background")
    _runs_again(namespace, gang)
    assert namespace.kube.get(f"{namespace.services_path}/gang-gang")["spec"]["clusterIP"] == "None"
    assert_nothing_left(namespace, audit)
