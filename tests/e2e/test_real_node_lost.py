"""A real node loses its power while a trainer runs: the job goes on elsewhere, and stays there after the reboot."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from tests.cluster import Cluster
from tests.cluster.commands import run
from tests.e2e.kube import Kube
from tests.e2e.manifests import KWOK_TOLERATION
from tests.e2e.namespace import Namespace, nodes_of, phase
from tests.e2e.nodes import clear_taint, mark_unreachable, pool
from tests.e2e.operators import Operators
from tests.e2e.real import TRAINING_TIMEOUT_SECONDS, real_job

FOR_EVER = ("frugal", "train", "--data", "digits", "--epochs", "1000000", "--report-every", "50")
SETTINGS = {"BALLAST_NODE_LOST_SECONDS": "1"}


@pytest.mark.slow
def test_a_job_on_a_node_that_crashes_goes_on_elsewhere(
    real_node: str, cluster: Cluster, namespace: Namespace, operators: Operators, kube: Kube
) -> None:
    with (
        pool(cluster, kube, "elsewhere", nodes=1) as labels,
        _labelled(cluster, kube, real_node, labels),
        operators.start(settings=SETTINGS),
    ):
        cluster.kubectl("cordon", "elsewhere-0")
        job = real_job("digits", *FOR_EVER).selects(labels).tolerates(KWOK_TOLERATION)
        namespace.submit(job.runs(seconds=600).spec(checkpointGraceSeconds=2, retryLimit=0))
        namespace.wait_for_phase("digits", "Running", timeout_seconds=TRAINING_TIMEOUT_SECONDS)
        cluster.kubectl("uncordon", "elsewhere-0")
        assert _trainers(cluster, namespace), "nothing runs on the node: nothing is proven"

        cluster.real_node(1).kill()
        mark_unreachable(kube, real_node)
        namespace.wait_for_job(
            "digits", lambda job: len(job["status"]["attempts"]) > 1 and phase(job) == "Running", "it runs again", 120
        )
        status = namespace.job("digits")["status"]
        assert nodes_of({"status": status}) == ["elsewhere-0"]
        assert (status["attempts"][0]["outcome"], status["attempts"][0]["reason"]) == ("Disrupted", "NodeLost")
        assert status.get("failures", 0) == 0

        cluster.up(real_nodes=1)
        clear_taint(kube, real_node)
        [pod] = namespace.wait_for_pods(lambda pods: len(pods) == 1, "the first attempt's pod goes")
        assert pod["spec"]["nodeName"] == "elsewhere-0"
        assert _trainers(cluster, namespace) == set()
        assert phase(namespace.job("digits")) == "Running"
        namespace.delete_job("digits")
        namespace.wait_until_gone()


@contextmanager
def _labelled(cluster: Cluster, kube: Kube, node: str, labels: Mapping[str, str]) -> Iterator[None]:
    """Give the real node labels; in the end it is as it was, whatever happened to it."""
    path = f"/api/v1/nodes/{node}"
    kube.merge(path, {"metadata": {"labels": labels}})
    try:
        yield
    finally:
        cluster.up(real_nodes=1)
        clear_taint(kube, node)
        kube.merge(path, {"metadata": {"labels": dict.fromkeys(labels)}})


def _trainers(cluster: Cluster, namespace: Namespace) -> set[str]:
    """Return the namespace's containers that have a process on the real node."""
    ctr = [*cluster.real_node(1).ctr_command(), "-n", "k8s.io"]
    of_namespace = f'labels."io.kubernetes.pod.namespace"=={namespace.name}'
    containers = run([*ctr, "containers", "list", "--quiet", of_namespace], timeout_seconds=30).split()
    running = {line.split()[0] for line in run([*ctr, "tasks", "list"], timeout_seconds=30).splitlines()[1:]}
    return running & set(containers)
