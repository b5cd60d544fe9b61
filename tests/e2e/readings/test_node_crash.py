"""A GPU node loses its power: the last that Prometheus knows is in the ledger, which says that it was not the end."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ballast.api.exporter import ENERGY
from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.namespace import Namespace
from tests.e2e.nodes import clear_taint, mark_unreachable
from tests.e2e.operators import Operators
from tests.e2e.readings import exporters
from tests.e2e.readings.jobs import ledger, training

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("told")]

#: Its pods are evicted after a second; the last reading is waited for ten.
SETTINGS = {"BALLAST_NODE_LOST_SECONDS": "1"}
SOME_JOULES = 1000


@pytest.fixture
def mended(cluster: Cluster, kube: Kube) -> Iterator[str]:
    """The node of A40s; it runs again afterwards."""
    node = cluster.gpu_node("A40").name
    yield node
    cluster.up(real_nodes=0)
    clear_taint(kube, node)


def test_a_node_that_crashes(
    agents: Agents,
    mended: str,
    restricted: Namespace,
    cluster: Cluster,
    kube: Kube,
    operators: Operators,
    readings: dict[str, str],
) -> None:
    operators.shared({**readings, **SETTINGS})
    restricted.submit(training("train", mended))
    restricted.wait_for_job("train", lambda job: _joules(job) > SOME_JOULES, "Prometheus knows some joules")
    [pod] = restricted.pods("train")
    known = exporters.sum_of(ENERGY, pod)

    cluster.gpu_node("A40").kill()
    mark_unreachable(kube, mended)
    job = restricted.wait_for_job("train", lambda job: bool(ledger(job)[0]), "the ledger has its last reading")
    [energy, *_] = ledger(job)
    assert SOME_JOULES <= energy["joules"] < 1.5 * known
    assert energy["podsWithoutLastReading"] == 1

    restricted.delete_job("train")
    cluster.up(real_nodes=0)
    clear_taint(kube, mended)
    restricted.wait_until_gone()


def _joules(job: JsonObject) -> float:
    return float(job["status"].get("energy", {}).get("joules", 0))
