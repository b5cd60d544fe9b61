"""Admins cordon and drain nodes at any moment: what runs goes on or moves, what is being placed goes elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pytest

from tests.cluster import Cluster
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, nodes_of
from tests.e2e.nodes import GPUS, pool
from tests.e2e.operators import Operators

SETTINGS = {"BALLAST_RETRY_SECONDS": "1"}


@pytest.fixture
def labels(cluster: Cluster, namespace: Namespace) -> Iterator[Mapping[str, str]]:
    """Three nodes that no other test uses, of which a gang of two takes two."""
    with pool(cluster, namespace.kube, "in-repair", nodes=3) as labels:
        yield labels


def _is_tried_again(job: JsonObject) -> bool:
    return len(job["status"]["attempts"]) > 1


def test_a_gang_on_a_drained_node_goes_on_elsewhere(
    labels: Mapping[str, str], namespace: Namespace, operators: Operators, audit: AuditLog, cluster: Cluster
) -> None:
    with operators.start(settings=SETTINGS):
        gang = training_job("gang").pods(2).gpus(GPUS).torchrun().selects(labels).runs(seconds=600)
        namespace.submit(gang.spec(retryLimit=0))
        drained, kept = nodes_of(namespace.wait_for_phase("gang", "Running"))
        cluster.kubectl("drain", drained, "--ignore-daemonsets", "--timeout=60s")
        namespace.wait_for_job("gang", _is_tried_again, "the gang is tried again")
        job = namespace.wait_for_phase("gang", "Running")
        assert kept in nodes_of(job)
        assert drained not in nodes_of(job)
        first = job["status"]["attempts"][0]
        assert first["outcome"] == "Disrupted"
        assert first["reason"] == "PodDisrupted"
        assert "Eviction" in first["message"]
        assert job["status"].get("failures", 0) == 0
        cluster.kubectl("uncordon", drained)
        assert_nothing_left(namespace, audit)


def test_a_gang_on_a_cordoned_node_goes_on(
    labels: Mapping[str, str], namespace: Namespace, operators: Operators, audit: AuditLog, cluster: Cluster
) -> None:
    with operators.start(settings=SETTINGS):
        namespace.submit(training_job("gang").gpus(GPUS).selects(labels).runs(seconds=5))
        [node] = nodes_of(namespace.wait_for_phase("gang", "Running"))
        cluster.kubectl("cordon", node)
        namespace.submit(training_job("next").gpus(1).on_node(node))
        namespace.wait_until_refused("next", "NoEligibleNode")
        job = namespace.wait_for_phase("gang", "Succeeded")
        assert [attempt["outcome"] for attempt in job["status"]["attempts"]] == ["Succeeded"]
        cluster.kubectl("uncordon", node)
        namespace.wait_for_phase("next", "Succeeded")
        assert_nothing_left(namespace, audit)


def test_a_gang_whose_node_is_cordoned_before_it_is_bound_goes_elsewhere(
    labels: Mapping[str, str], namespace: Namespace, operators: Operators, audit: AuditLog, cluster: Cluster
) -> None:
    with operators.start(settings=SETTINGS):
        namespace.submit(training_job("gang").pods(2).gpus(GPUS).torchrun().selects(labels).held())
        cordoned, kept = nodes_of(namespace.wait_for_phase("gang", "Placing"))
        namespace.wait_for_pods(lambda pods: len(pods) == len((cordoned, kept)), "its pods are there, and held")
        cluster.kubectl("cordon", cordoned)
        namespace.wait_for_job("gang", _is_tried_again, "the gang is tried again")
        job = namespace.wait_for_phase("gang", "Placing")
        assert cordoned not in nodes_of(job)
        first = job["status"]["attempts"][0]
        assert first["outcome"] == "RolledBack"
        assert first["reason"] == "NodeUnavailable"
        assert f"node {cordoned} is cordoned" in first["message"]
        cluster.kubectl("uncordon", cordoned)
        assert_nothing_left(namespace, audit)
