"""Fixtures and markers that all tests share: one embedded cluster a session, and what runs on it.

A test that asks for a cluster fixture is marked `cluster`; one that asks for the real node is marked `images` too, so
that `-m "not cluster"` runs everything else. Invariant: after the session the machine is as it was before.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from tests.cluster import Cluster, GpuNode
from tests.cluster.host_state import HostState, other_clusters
from tests.cluster.node import RealNode
from tests.cluster.paths import cluster_name
from tests.cluster.platforms import why_no_real_node
from tests.e2e.audit import AuditLog
from tests.e2e.kube import Kube
from tests.e2e.namespace import Namespace
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators, install_api

GPU_NODES = (
    GpuNode("a100-0", "NVIDIA-A100-SXM4-80GB", 8),
    GpuNode("a100-1", "NVIDIA-A100-SXM4-80GB", 8),
    GpuNode("v100-0", "Tesla-V100-SXM2-16GB", 8),
    GpuNode("v100-1", "Tesla-V100-SXM2-16GB", 8),
    GpuNode("a40-0", "NVIDIA-A40", 4),
    GpuNode("a40-1", "NVIDIA-A40", 4),
)

REAL_GPU_MODELS = ("V100", "A40")

HASTY = {"BALLAST_RETRY_SECONDS": "1", "BALLAST_RETRY_MAX_SECONDS": "4"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by what they need."""
    for item in items:
        fixtures: list[str] = getattr(item, "fixturenames", [])
        if "cluster" in fixtures:
            item.add_marker(pytest.mark.cluster)
        if {"real_node", "gpu_nodes"} & set(fixtures):
            item.add_marker(pytest.mark.images)


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    """The tests' own cluster, beside any that a person uses; new in every session.

    With `BALLAST_KEEP_CLUSTER=1` one that runs is used, and stays: for working on a test.
    """
    cluster = Cluster(f"{cluster_name()[:35].rstrip('-')}-test")
    keep = os.environ.get("BALLAST_KEEP_CLUSTER") == "1"
    if not keep:
        cluster.down()  # what a killed session left
    others = other_clusters(cluster.name)
    before = HostState.capture(except_clusters=others)
    try:
        cluster.up(real_nodes=0)
        cluster.add_gpu_nodes(GPU_NODES)
        install_api(cluster)
        yield cluster
    finally:
        if not keep:
            cluster.down()
    if not keep:
        after = HostState.capture(except_clusters=others | other_clusters(cluster.name))
        assert not (left := after.changes_since(before)), f"the tests left something behind: {left}"


@pytest.fixture(scope="session")
def real_node(cluster: Cluster) -> str:
    """The name of a real node that has the project's images."""
    obstacle = why_no_real_node()
    if obstacle:
        pytest.skip(f"no real node: {obstacle}")
    cluster.up(real_nodes=1)
    cluster.load_images(["operator", "exporter", "trainer"])
    return cluster.real_node(1).name


@pytest.fixture(scope="session")
def gpu_nodes(cluster: Cluster) -> dict[str, RealNode]:
    """Real nodes with four simulated GPUs each, by GPU model, that have the project's images."""
    obstacle = why_no_real_node()
    if obstacle:
        pytest.skip(f"no real node: {obstacle}")
    cluster.up(gpu_nodes=REAL_GPU_MODELS)
    cluster.load_images(["operator", "agent", "exporter", "trainer"])
    return {model: cluster.gpu_node(model) for model in REAL_GPU_MODELS}


@pytest.fixture(scope="session")
def operators(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operators]:
    """Whoever operates the cluster."""
    operators = Operators(cluster, tmp_path_factory.mktemp("operators"))
    yield operators
    operators.stop()


@pytest.fixture
def operator(operators: Operators) -> OperatorProcess:
    """A ready operator, shared with other tests; one that is to be killed comes from `operators.start`."""
    return operators.shared()


@pytest.fixture
def hasty_operator(operators: Operators) -> OperatorProcess:
    """A ready operator, shared with other tests, that does not wait long before it tries something again."""
    return operators.shared(HASTY)


@pytest.fixture
def deployed_operator(operators: Operators, real_node: str) -> str:
    """The operator in the cluster, from its image and the manifests; on the real node, whose name this is."""
    operators.deployed()
    return real_node


@pytest.fixture
def kube(cluster: Cluster) -> Iterator[Kube]:
    """A client that may do everything."""
    with Kube(cluster.kubeconfig) as kube:
        yield kube


@pytest.fixture
def audit(cluster: Cluster) -> AuditLog:
    """The API server's audit log."""
    return AuditLog(cluster.audit_log)


_namespaces = count(1)


@pytest.fixture
def namespace(kube: Kube, operators: Operators, request: pytest.FixtureRequest) -> Iterator[Namespace]:
    """A namespace of the test's own."""
    words = re.sub(r"[^a-z0-9]+", "-", request.node.name.removeprefix("test_").lower()).strip("-")[:40].strip("-")
    with Namespace(kube, f"t-{os.getpid()}-{next(_namespaces)}-{words}", operators.log_tail) as namespace:
        yield namespace


@pytest.fixture
def log_file(operators: Operators) -> Callable[[], Path]:
    """Makes files for the logs of operators that follow each other."""
    return operators.new_log
