"""A node of A40s with agents, an operator that measures quickly, and the story of what it learns, told once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.cluster.node import RealNode
from tests.e2e.agent.conftest import GpuSite, session_agents
from tests.e2e.agents import Agents
from tests.e2e.energy_model.story import Place, Story, tell
from tests.e2e.energy_model.versions import Versions
from tests.e2e.kube import Kube
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.readings.conftest import readings
from tests.nvmlsim.preferred import preferred

__all__ = ["readings", "session_agents"]

FOUND_WATTS = 300.0
READING_SECONDS = 5
STORIES = 3
"""It is told so often at most: a machine that is busy with other things slows trainers now and then."""


@pytest.fixture(scope="session")
def learning(readings: dict[str, str]) -> dict[str, str]:
    """The settings of an operator that measures running jobs quickly."""
    return {**readings, "BALLAST_TELEMETRY_SECONDS": "1", "BALLAST_READING_SECONDS": str(READING_SECONDS)}


@pytest.fixture(scope="session")
def site(cluster: Cluster, gpu_nodes: dict[str, RealNode]) -> Iterator[GpuSite]:
    """The node of A40s as seen from outside, at the boards' own highest limit, and as that afterwards."""
    node = cluster.gpu_node("A40")
    site = GpuSite(node.name, node.gpus, FOUND_WATTS)
    for uuid in site.gpus.uuids:
        site.gpus.set_power_limit(uuid, FOUND_WATTS)
    yield site
    site.wait_until_restored()


@pytest.fixture(scope="session")
def story(
    cluster: Cluster,
    site: GpuSite,
    session_agents: Agents,
    operators: Operators,
    learning: dict[str, str],
) -> Story:
    """What happened; see `story.py`."""
    operators.shared(learning)
    session_agents.run()
    for number in range(STORIES):
        prefix = f"t-{os.getpid()}-learning-{number}"
        with (
            Kube(cluster.kubeconfig) as kube,
            Namespace(kube, f"{prefix}-team", operators.log_tail) as team,
            Namespace(kube, f"{prefix}-others", operators.log_tail) as others,
            Versions(cluster.kubeconfig, team) as of_team,
            Versions(cluster.kubeconfig, others) as of_others,
            preferred(cluster.gpu_node("A40")),
        ):
            story = tell(site, operators, learning, Place(team, of_team), Place(others, of_others))
        if story.is_fair:
            break
        site.wait_until_restored()
    return story


@pytest.fixture
def fair(story: Story) -> Story:
    """The story, for what can be told only where all limits had the same chance."""
    if not story.is_fair:
        pytest.skip(f"in {STORIES} stories the machine was too busy with other things; boards were busy {story.busy}")
    return story
