"""Nodes, pods and rights on a real API server; no operator and no kubelet is needed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.kube import Kube
from tests.integration.agent_serving.serving import Agent, serving
from tests.integration.agent_serving.site import Site


@pytest.fixture(scope="package")
def site(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Nodes, service accounts and their rights."""
    with Kube(cluster.kubeconfig) as kube:
        site = Site(cluster, kube, tmp_path_factory.mktemp("agent-serving"))
        site.install()
        yield site
        site.remove()


@pytest.fixture
async def agent(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Agent]:
    """The agent of a node, serving."""
    async with serving(site, monkeypatch) as agent:
        yield agent
