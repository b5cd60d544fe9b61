"""Nodes with GPUs, and a namespace for restricted pods."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from itertools import count

import pytest

from tests.cluster import Cluster
from tests.cluster.api_client import wait_until
from tests.cluster.node import RealNode
from tests.e2e.kube import Kube
from tests.integration.nvmlsim.pods import PATIENCE_SECONDS, Pods

_numbers = count(1)


@pytest.fixture
def v100(gpu_nodes: dict[str, RealNode]) -> RealNode:
    return gpu_nodes["V100"]


@pytest.fixture
def a40(gpu_nodes: dict[str, RealNode]) -> RealNode:
    return gpu_nodes["A40"]


@pytest.fixture
def pods(cluster: Cluster, kube: Kube) -> Iterator[Pods]:
    """Pods of the test's own, in a namespace that admits restricted ones only."""
    name = f"gpus-{os.getpid()}-{next(_numbers)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    kube.create("/api/v1/namespaces", {"metadata": {"name": name, "labels": labels}})
    pods = Pods(cluster, kube, name)
    yield pods
    pods.delete()
    kube.delete(f"/api/v1/namespaces/{name}")


@pytest.fixture
def wait_for_allocatable(kube: Kube) -> Callable[[RealNode, int], None]:
    """Waits until a node has so many GPUs for pods."""

    def wait(node: RealNode, gpus: int) -> None:
        def holds() -> bool:
            return allocatable(kube, node) == gpus

        wait_until(holds, f"{gpus} allocatable GPUs on {node.name}", timeout_seconds=PATIENCE_SECONDS)

    return wait


def allocatable(kube: Kube, node: RealNode) -> int:
    """Return how many GPUs of a node pods can have."""
    return int(kube.get(f"/api/v1/nodes/{node.name}")["status"]["allocatable"].get("nvidia.com/gpu", 0))
