"""A real API server with the chart's CRDs, and objects of every kind where nobody else writes."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping

import pytest

from ballast.api.crds import KINDS
from ballast.api.kinds import Kind
from ballast.api.trainingjob import TrainingJob
from tests.cluster import Cluster
from tests.e2e.operators import Operators
from tests.integration.api.client import Api, Objects, proxied
from tests.integration.api.court import Court


@pytest.fixture(scope="package")
def api(cluster: Cluster) -> Iterator[Api]:
    """The cluster's API server."""
    with proxied(cluster.kubectl_command()) as api:
        yield api


@pytest.fixture(scope="package")
def objects(api: Api, operators: Operators) -> Iterator[Mapping[type[Kind], Objects]]:
    """The objects of each kind, which no operator touches, in a namespace of their own if they have one."""
    operators.stop()
    created = api.call("POST", "/api/v1/namespaces", {"metadata": {"generateName": "api-test-"}})
    namespace = created.body["metadata"]["name"]
    objects = {kind: Objects(api, kind, namespace) for kind in KINDS}
    deadline = time.monotonic() + 60
    while not all(each.are_served() for each in objects.values()):
        assert time.monotonic() < deadline, "the API server does not serve the CRDs"
        time.sleep(0.1)
    yield objects
    api.call("DELETE", f"/api/v1/namespaces/{namespace}")


@pytest.fixture(scope="package")
def jobs(objects: Mapping[type[Kind], Objects]) -> Objects:
    """The TrainingJobs."""
    return objects[TrainingJob]


@pytest.fixture(scope="package")
def court(objects: Mapping[type[Kind], Objects]) -> Iterator[Court]:
    """Asks the API server about cases, about each only once."""
    court = Court(objects)
    yield court
    court.clean_up()
