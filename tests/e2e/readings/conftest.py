"""GPU nodes with agents, an operator that gives each job an exporter and asks Prometheus, and the boards' own count."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.cluster.node import RealNode
from tests.conftest import HASTY
from tests.e2e.agent.conftest import session_agents
from tests.e2e.agents import Agents
from tests.e2e.kube import Kube
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.readings.allocated import AllocatedJoules
from tests.e2e.readings.stories import Told, restrict

__all__ = ["session_agents"]

#: The chart's settings, with short times.
EXPORTERS = {
    **HASTY,
    "BALLAST_EXPORTER_IMAGE": "localhost/ballast-exporter:dev",
    "BALLAST_EXPORTER_POLL_SECONDS": "1",
    "BALLAST_TELEMETRY_SECONDS": "2",
    "BALLAST_LOST_READING_SECONDS": "10",
}


@pytest.fixture(scope="session")
def readings(cluster: Cluster, gpu_nodes: dict[str, RealNode]) -> dict[str, str]:
    """The settings of an operator whose jobs tell their readings."""
    return {**EXPORTERS, "BALLAST_PROMETHEUS_URL": cluster.prometheus_url}


@pytest.fixture
def boards(gpu_nodes: dict[str, RealNode]) -> Iterator[AllocatedJoules]:
    """What boards count while pods have them."""
    with AllocatedJoules(list(gpu_nodes.values())) as boards:
        yield boards


@pytest.fixture
def agents(session_agents: Agents, operators: Operators, readings: dict[str, str]) -> Agents:
    """Agents on all GPU nodes, with an operator whose jobs tell their readings."""
    operators.shared(readings)
    session_agents.run()
    return session_agents


@pytest.fixture(scope="session")
def told(
    request: pytest.FixtureRequest,
    cluster: Cluster,
    session_agents: Agents,
    operators: Operators,
    readings: dict[str, str],
    gpu_nodes: dict[str, RealNode],
) -> Told:
    """All stories of the tests that were collected, told."""
    operators.shared(readings)
    session_agents.run()
    files = dict.fromkeys(item.getparent(pytest.Module) for item in request.session.items)
    stories = [story for file in files if file is not None for story in getattr(file.obj, "STORIES", ())]
    told = Told()
    with AllocatedJoules(list(gpu_nodes.values())) as boards:
        told.tell(stories, cluster, operators, boards)
    return told


@pytest.fixture
def restricted(kube: Kube, namespace: Namespace) -> Namespace:
    """The test's own namespace, in which only restricted pods may run."""
    restrict(kube, namespace)
    return namespace
