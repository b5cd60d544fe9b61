"""A release that is uninstalled in the middle of everything leaves every GPU as it was found, and nothing of its own.

In a namespace of its own, so that the service accounts of other tests' operators stay; their rights are lent meanwhile.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from ballast.api.finalreading import FINALIZER
from tests.cluster import Cluster
from tests.cluster.helm import CHART, POD_SECURITY, RELEASE, helm, real_agents
from tests.e2e.agent.conftest import GpuSite
from tests.e2e.agent.jobs import gpu_job
from tests.e2e.agents import NODE_POWERS, SETTINGS, Agents
from tests.e2e.kube import Kube
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators, install_api

NAMESPACE = "uninstall-test"
COLLECTIONS = (
    NODE_POWERS,
    f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets",
    f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    f"/apis/batch/v1/namespaces/{NAMESPACE}/jobs",
    f"/api/v1/namespaces/{NAMESPACE}/secrets",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
)


def _left(kube: Kube) -> list[str]:
    """What there is of Ballast."""
    found = ((path, each["metadata"]["name"]) for path in COLLECTIONS for each in kube.list(path))
    return [f"{path}/{name}" for path, name in found if "ballast" in name or path == NODE_POWERS]


@pytest.fixture
def release(cluster: Cluster, operators: Operators, session_agents: Agents, kube: Kube) -> Iterator[None]:
    """Operator and agents as a user installs them, alone on the cluster."""
    operators.stop()
    session_agents.remove()
    kube.delete(NODE_POWERS)
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": POD_SECURITY}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))
    helm(
        "upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE, "--take-ownership", "--wait", "--timeout=120s",
        "--set=replicas=1", *real_agents(**SETTINGS), kubeconfig=cluster.kubeconfig,
    )  # fmt: skip
    try:
        yield
    finally:
        _uninstall(cluster, "--no-hooks")  # if the test did not come so far
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        install_api(cluster)


def _uninstall(cluster: Cluster, *options: str) -> None:
    helm("uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--ignore-not-found", *options, kubeconfig=cluster.kubeconfig)


@pytest.mark.slow
@pytest.mark.usefixtures("release")
def test_in_the_middle_of_a_job(v100: GpuSite, cluster: Cluster, kube: Kube, namespace: Namespace) -> None:
    namespace.submit(gpu_job("train", v100.node, watts=150))
    v100.wait_until_capped(150)
    namespace.wait_for_phase("train", "Running")
    assert _is_held(namespace), "its pod is kept for the ledger, or nothing is proven"

    _uninstall(cluster)

    assert not v100.capped()
    assert _left(kube) == []
    [pod] = kube.list(namespace.pods_path)
    assert pod["status"]["phase"] == "Running", "training goes on"
    assert not _is_held(namespace)
    namespace.delete_job("train")
    namespace.wait_until_gone()


def _is_held(namespace: Namespace) -> bool:
    [pod] = namespace.kube.list(namespace.pods_path)
    return FINALIZER in pod["metadata"].get("finalizers", ())
