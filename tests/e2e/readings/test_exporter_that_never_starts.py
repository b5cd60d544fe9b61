"""An exporter whose image is nowhere: its job says so, is tried again and can be deleted; no pod is kept for long."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.readings.jobs import training

pytestmark = pytest.mark.slow

IMAGE = "localhost/nowhere:dev"
IDLE_JOULES = 500
"""More than a board takes without load while it waits in vain."""
NOWHERE = {
    "BALLAST_EXPORTER_IMAGE": IMAGE,
    "BALLAST_EXPORTER_PULL_POLICY": "Never",
    "BALLAST_PLACEMENT_TIMEOUT_SECONDS": "4",
}


def test_its_image_is_nowhere(
    agents: Agents, restricted: Namespace, cluster: Cluster, operators: Operators, readings: dict[str, str]
) -> None:
    operators.shared({**readings, **NOWHERE})
    restricted.submit(training("train", cluster.gpu_node("V100").name))
    job = restricted.wait_for_job("train", _was_tried_and_settled, "it was tried, and is tried again")
    attempt = job["status"]["attempts"][0]
    assert attempt["outcome"] == "RolledBack"
    assert IMAGE in attempt["message"]
    assert job["status"].get("failures", 0) == 0, "it is not the trainer's fault"
    assert attempt["energy"]["joules"] < IDLE_JOULES
    restricted.delete_job("train")
    restricted.wait_until_gone()


def _was_tried_and_settled(job: JsonObject) -> bool:
    attempts = job["status"].get("attempts", ())
    return len(attempts) > 1 and "energy" in attempts[0]
