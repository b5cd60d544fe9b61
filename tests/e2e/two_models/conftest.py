"""Nodes of V100s and A40s at the boards' defaults with agents, an operator, and the comparison, made once."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.cluster.node import RealNode
from tests.demo.comparison.arms import compare
from tests.demo.comparison.boards import MODEL_NAMES, Boards
from tests.demo.comparison.result import Comparison
from tests.demo.kubectl import Kubectl
from tests.e2e.agent.conftest import session_agents
from tests.e2e.agents import Agents
from tests.e2e.operators import Operators
from tests.e2e.readings.conftest import readings
from tests.nvmlsim.boards import MODELS

__all__ = ["readings", "session_agents"]


@pytest.fixture(scope="session")
def boards(cluster: Cluster, gpu_nodes: dict[str, RealNode]) -> Boards:
    """The boards of both nodes, at their default limits."""
    nodes = {model: cluster.gpu_node(model) for model in MODEL_NAMES}
    for model, node in nodes.items():
        for uuid in node.gpus.uuids:
            node.gpus.set_power_limit(uuid, MODELS[model.lower()].default_limit_watts)
    return Boards(nodes)


@pytest.fixture(scope="session")
def comparison(
    cluster: Cluster, boards: Boards, session_agents: Agents, operators: Operators, readings: dict[str, str]
) -> Iterator[Comparison]:
    """What both arms came to."""
    operators.shared(readings)
    session_agents.run()
    kubectl = Kubectl(cluster.kubectl_command())
    namespace = f"t-{os.getpid()}-two-models"
    yield compare(kubectl, boards, namespace, print)
    kubectl.run("delete", "namespace", namespace)
