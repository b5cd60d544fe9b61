"""An exporter whose image is nowhere: its job says so and can be deleted; no pod is kept for a reading of nothing."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.namespace import Namespace, condition
from tests.e2e.operators import Operators
from tests.e2e.readings.jobs import ledger, training

pytestmark = pytest.mark.slow

IMAGE = "localhost/nowhere:dev"
NOWHERE = {
    "BALLAST_EXPORTER_IMAGE": IMAGE,
    "BALLAST_EXPORTER_PULL_POLICY": "Never",
    "BALLAST_PLACEMENT_TIMEOUT_SECONDS": "4",
}


def test_its_image_is_nowhere(
    agents: Agents, restricted: Namespace, cluster: Cluster, operators: Operators, readings: dict[str, str]
) -> None:
    operators.shared({**readings, **NOWHERE})
    restricted.submit(training("train", cluster.gpu_node("V100").name).spec(retryLimit=0))
    job = restricted.wait_for_phase("train", "Failed")
    failed = condition(job, "Failed")
    assert failed is not None
    assert IMAGE in failed["message"]
    assert ledger(job) in ([{}], [{"joules": 0}])
    restricted.delete_job("train")
    restricted.wait_until_gone()
