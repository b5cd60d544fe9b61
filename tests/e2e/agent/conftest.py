"""A GPU node with its boards seen from the host, agents on it, and jobs that really use its GPUs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.kube import Kube
from tests.e2e.operator_process import OperatorProcess
from tests.nvmlsim.node import GpuNodeControl

FOUND_WATTS = {"V100": 230.0, "A40": 270.0}
"""What an admin has set, neither the boards' default nor their highest."""
TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True)
class Board:
    """One GPU of a node."""

    gpus: GpuNodeControl
    uuid: str

    @property
    def limit_watts(self) -> float:
        """Its power limit now."""
        return self.gpus.gpu(self.uuid).power_limit_watts


@dataclass(frozen=True)
class GpuSite:
    """A real node with simulated GPUs, as a test sees it: from outside, past the agent."""

    node: str
    gpus: GpuNodeControl
    found_watts: float

    def limits(self) -> list[float]:
        """Return the power limits of all its boards."""
        return [self.gpus.gpu(uuid).power_limit_watts for uuid in self.gpus.uuids]

    def capped(self) -> list[str]:
        """Return the boards that are not as they were found."""
        found = []
        for uuid in self.gpus.uuids:
            gpu = self.gpus.gpu(uuid)
            if gpu.power_limit_watts != self.found_watts or gpu.locked_clocks_mhz or gpu.locked_memory_clocks_mhz:
                found.append(uuid)
        return found

    def wait_until(self, holds: Callable[[], bool], what: str, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Wait until something holds of the boards."""
        deadline = time.monotonic() + timeout_seconds
        while not holds():
            if time.monotonic() > deadline:
                raise AssertionError(f"not within {timeout_seconds:.0f} s: {what}; limits are {self.limits()}")
            time.sleep(0.1)

    def wait_until_restored(self, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        """Wait until every board is as it was found."""
        self.wait_until(lambda: not self.capped(), "every GPU is as it was found", timeout_seconds)

    def wait_until_capped(self, watts: float) -> str:
        """Wait until one board has this limit; return its UUID."""
        self.wait_until(lambda: watts in self.limits(), f"a GPU at {watts} W")
        return self.gpus.uuids[self.limits().index(watts)]


@pytest.fixture(scope="session")
def session_agents(cluster: Cluster, gpu_nodes: object) -> Iterator[Agents]:
    """The agents of the session."""
    with Kube(cluster.kubeconfig) as kube:
        agents = Agents(cluster, kube)
        yield agents
        agents.remove()


@pytest.fixture
def agents(session_agents: Agents, operator: OperatorProcess) -> Agents:
    """Agents on all GPU nodes, with an operator that has given them their NodePowers."""
    assert operator.running
    session_agents.run()
    return session_agents


@pytest.fixture
def v100(cluster: Cluster, gpu_nodes: object) -> Iterator[GpuSite]:
    """The node of V100s, with limits that an admin has set, and as that afterwards."""
    yield from _site(cluster, "V100")


@pytest.fixture
def a40(cluster: Cluster, gpu_nodes: object) -> Iterator[GpuSite]:
    """The node of A40s, likewise."""
    yield from _site(cluster, "A40")


def _site(cluster: Cluster, model: str) -> Iterator[GpuSite]:
    node = cluster.gpu_node(model)
    site = GpuSite(node.name, node.gpus, FOUND_WATTS[model])
    for uuid in site.gpus.uuids:
        site.gpus.set_power_limit(uuid, site.found_watts)
    yield site
    site.gpus.clear_faults()
    site.wait_until_restored()
