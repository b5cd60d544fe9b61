"""A client like the operator's own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from kubernetes.aio import config
from kubernetes.aio.client import ApiClient, Configuration

from ballast.kube import KubeClient
from tests.cluster import Cluster
from tests.e2e.operators import Operators


@pytest.fixture
async def client(cluster: Cluster, operators: Operators) -> AsyncIterator[KubeClient]:
    """The operator's client, with all rights; nobody else operates meanwhile."""
    operators.stop()
    configuration = Configuration()
    await config.load_kube_config(config_file=str(cluster.kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
    async with KubeClient(ApiClient(configuration)) as client:
        yield client
