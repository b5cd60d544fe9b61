"""The operator dies: what runs meanwhile is counted all the same, and what was deleted meanwhile is not stuck."""

from __future__ import annotations

import time

import pytest

from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.readings.allocated import AllocatedJoules, wait_a_tick
from tests.e2e.readings.jobs import gpu_joules, is_settled, ledger, training

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("told")]

SECONDS = 50
DEAD_SECONDS = 10


def test_an_operator_that_is_killed(
    agents: Agents,
    boards: AllocatedJoules,
    restricted: Namespace,
    cluster: Cluster,
    operators: Operators,
    readings: dict[str, str],
) -> None:
    namespace, node = restricted, cluster.gpu_node("V100").name
    namespace.submit(*(training(name, node, seconds=SECONDS) for name in ("goes-on", "deleted")))
    for name in ("goes-on", "deleted"):
        namespace.wait_for_phase(name, "Running")
    time.sleep(SECONDS / 4)

    operators.shared(readings).kill()
    namespace.delete_job("deleted")
    time.sleep(DEAD_SECONDS)
    assert namespace.pods("deleted"), "its pod is held: its last reading is in no ledger"
    operators.shared(readings)

    namespace.wait(namespace.pods_path, None, lambda pods: len(pods) == 1, "the deleted job's pod is let go")
    namespace.wait_for_phase("goes-on", "Succeeded", timeout_seconds=SECONDS + 30)
    job = namespace.wait_for_job("goes-on", is_settled, "its last reading is in the ledger")
    wait_a_tick()
    assert gpu_joules(job) == pytest.approx(boards.of(namespace.name, "goes-on"), rel=0.01)
    assert ledger(job)[0].get("podsWithoutLastReading", 0) == 0
