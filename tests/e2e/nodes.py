"""Simulated nodes of a test's own, and what happens to nodes.

A lost node is one whose kubelet says nothing any more: kwok lets go of it, so that nothing on it changes, and it gets
the condition and the taint that Kubernetes' node controller gives it (after a grace period; tests do not wait for it).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.cluster import Cluster, GpuNode
from tests.cluster.gpu_nodes import KWOK_LABEL
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.namespace import Namespace

POOL_LABEL = "example.com/pool"
UNREACHABLE = {"key": "node.kubernetes.io/unreachable", "effect": "NoExecute"}
GPUS = 8


@contextmanager
def pool(cluster: Cluster, kube: Kube, name: str, nodes: int, gpus: int = GPUS) -> Iterator[dict[str, str]]:
    """Add nodes with so many GPUs each; yield the labels by which a job asks for them."""
    labels = {POOL_LABEL: name}
    names = [f"{name}-{number}" for number in range(nodes)]
    try:
        cluster.add_gpu_nodes([GpuNode(each, gpus=gpus, labels=labels) for each in names])
        yield labels
    finally:
        for each in names:
            kube.delete(f"/api/v1/nodes/{each}")


def lose(kube: Kube, node: str) -> None:
    """Let a node fall silent, and the node controller notice."""
    path = f"/api/v1/nodes/{node}"
    kube.merge(path, {"metadata": {"labels": {KWOK_LABEL[0]: None}}})
    mark_unreachable(kube, node)


def mark_unreachable(kube: Kube, node: str) -> None:
    """Say of a node what the node controller says when its kubelet has been silent for too long."""
    path = f"/api/v1/nodes/{node}"
    conditions = [
        {**condition, "status": "Unknown", "reason": "NodeStatusUnknown"}
        for condition in kube.get(path)["status"]["conditions"]
    ]
    kube.merge(f"{path}/status", {"status": {"conditions": conditions}})
    kube.merge(path, {"spec": {"taints": [*_taints(kube, node), UNREACHABLE]}})


def bring_back(kube: Kube, node: str) -> None:
    """Let a lost node speak again."""
    path = f"/api/v1/nodes/{node}"
    kube.merge(path, {"metadata": {"labels": dict([KWOK_LABEL])}})
    clear_taint(kube, node)


def clear_taint(kube: Kube, node: str) -> None:
    """Take back what the node controller put on a node that did not answer."""
    kube.merge(f"/api/v1/nodes/{node}", {"spec": {"taints": _taints(kube, node)}})


def wait_until_ready(namespace: Namespace, node: str) -> None:
    """Wait until a node says that it is ready."""
    namespace.wait("/api/v1/nodes", node, lambda nodes: bool(nodes) and _is_ready(nodes[0]), f"{node} is ready")


def _taints(kube: Kube, node: str) -> list[JsonObject]:
    """Return the taints that the node has apart from those of a lost one."""
    taints: list[JsonObject] = kube.get(f"/api/v1/nodes/{node}")["spec"].get("taints", [])
    return [taint for taint in taints if taint["key"] != UNREACHABLE["key"]]


def _is_ready(node: JsonObject) -> bool:
    return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])
