"""A real API server with the chart's CRDs, and TrainingJobs in namespaces where nobody else writes."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.operators import Operators
from tests.integration.api.client import Api, TrainingJobs, proxied


@pytest.fixture(scope="module")
def api(cluster: Cluster) -> Iterator[Api]:
    """The cluster's API server."""
    with proxied(cluster.kubectl_command()) as api:
        yield api


@pytest.fixture(scope="module")
def jobs(api: Api, operators: Operators) -> Iterator[TrainingJobs]:
    """TrainingJobs that no operator touches, in a namespace of their own."""
    operators.stop()
    created = api.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": "api-test-"}})
    name = created.body["metadata"]["name"]
    yield TrainingJobs(api, name)
    api.call("DELETE", f"/api/v1/namespaces/{name}")
