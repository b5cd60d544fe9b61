"""A node falls silent, or goes for good: the gang goes on elsewhere, is not blamed, and runs once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from ballast.api.labels import ATTEMPT_LABEL
from tests.cluster import Cluster
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, nodes_of, phase
from tests.e2e.nodes import GPUS, bring_back, lose, pool, wait_until_ready
from tests.e2e.operators import Operators

SETTINGS = {"BALLAST_NODE_LOST_SECONDS": "1", "BALLAST_RETRY_SECONDS": "1"}
LONG_SECONDS = 120.0
"""A pod on a lost node counts as running for 30 s, and Kubernetes removes those of a deleted node after a minute."""


@pytest.fixture
def labels(cluster: Cluster, namespace: Namespace) -> Iterator[Mapping[str, str]]:
    """Three nodes that no other test uses, of which a gang of two takes two."""
    with pool(cluster, namespace.kube, "unlucky", nodes=3) as labels:
        yield labels


def _run_a_gang(namespace: Namespace, labels: Mapping[str, str]) -> list[str]:
    """Let a gang run on two whole nodes; return them."""
    gang = training_job("gang").pods(2).gpus(GPUS).torchrun().selects(labels).runs(seconds=600)
    namespace.submit(gang.spec(checkpointGraceSeconds=1, retryLimit=0))
    return nodes_of(namespace.wait_for_phase("gang", "Running"))


def _wait_for_the_second_attempt(namespace: Namespace) -> JsonObject:
    def runs_again(job: JsonObject) -> bool:
        return len(job["status"]["attempts"]) > 1 and phase(job) == "Running"

    return namespace.wait_for_job("gang", runs_again, "the gang runs again", LONG_SECONDS)


def _assert_it_was_not_blamed(job: JsonObject, lost: str) -> None:
    first, second = job["status"]["attempts"]
    assert first["outcome"] == "Disrupted"
    assert first["reason"] == "NodeLost"
    assert lost in first["message"]
    assert first["avoid"] == [lost]
    assert second["number"] == first["number"] + 1
    assert job["status"].get("failures", 0) == 0  # and retryLimit is 0


@pytest.mark.slow
def test_a_gang_on_a_node_that_falls_silent_goes_on_elsewhere(
    labels: Mapping[str, str], namespace: Namespace, operators: Operators, audit: AuditLog
) -> None:
    with operators.start(settings=SETTINGS):
        lost, kept = _run_a_gang(namespace, labels)
        lose(namespace.kube, lost)
        job = _wait_for_the_second_attempt(namespace)
        assert lost not in nodes_of(job)
        assert kept in nodes_of(job)
        _assert_it_was_not_blamed(job, lost)

        ghost = [pod for pod in namespace.pods("gang") if pod["spec"]["nodeName"] == lost]
        assert [pod["metadata"]["labels"][ATTEMPT_LABEL] for pod in ghost] == ["1"], "there is nothing to come back"
        bring_back(namespace.kube, lost)
        wait_until_ready(namespace, lost)
        pods = namespace.wait_for_pods(lambda pods: len(pods) == len(nodes_of(job)), "the first attempt's pods go")
        assert {pod["metadata"]["labels"][ATTEMPT_LABEL] for pod in pods} == {"2"}
        namespace.wait(namespace.workloads_path, "gang-1", lambda jobs: not jobs, "so does its Job")
        assert phase(namespace.job("gang")) == "Running"
        assert_nothing_left(namespace, audit)


@pytest.mark.slow
def test_a_gang_on_a_node_that_is_deleted_goes_on_elsewhere(
    labels: Mapping[str, str], namespace: Namespace, operators: Operators
) -> None:
    with operators.start(settings=SETTINGS):
        lost, kept = _run_a_gang(namespace, labels)
        namespace.kube.delete(f"/api/v1/nodes/{lost}")
        job = _wait_for_the_second_attempt(namespace)
        assert lost not in nodes_of(job)
        assert kept in nodes_of(job)
        _assert_it_was_not_blamed(job, lost)
        namespace.delete_job("gang")
        namespace.wait_until_gone()
        namespace.submit(training_job("next").pods(2).gpus(GPUS).selects(labels))
        namespace.wait_for_phase("next", "Succeeded")  # nothing is reserved on the two that are left


def test_a_node_that_comes_back_in_time_disturbs_nobody(
    labels: Mapping[str, str], namespace: Namespace, operators: Operators, audit: AuditLog
) -> None:
    with operators.start(settings={"BALLAST_NODE_LOST_SECONDS": "600"}):
        namespace.submit(training_job("gang").gpus(GPUS).selects(labels).runs(seconds=2))
        [node] = nodes_of(namespace.wait_for_phase("gang", "Running"))
        lose(namespace.kube, node)
        namespace.submit(training_job("other").gpus(1).on_node(node))
        namespace.wait_until_refused("other", "NoEligibleNode")  # nothing new goes there
        assert phase(namespace.job("gang")) == "Running"
        bring_back(namespace.kube, node)
        job = namespace.wait_for_phase("gang", "Succeeded")
        assert [attempt["outcome"] for attempt in job["status"]["attempts"]] == ["Succeeded"]
        namespace.wait_for_phase("other", "Succeeded")
        assert_nothing_left(namespace, audit)
