"""Prometheus is down for a minute: alone, and while all else goes wrong, too. No joule is lost (G5)."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators
from tests.e2e.readings import exporters
from tests.e2e.readings.allocated import AllocatedJoules, wait_a_tick
from tests.e2e.readings.jobs import gpu_joules, is_settled, ledger, training
from tests.e2e.readings.stories import evict

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("told")]

ALONE_SECONDS = 50
"""It begins and ends while Prometheus is down."""
FIRST_SECONDS, SECOND_SECONDS = 30, 45
MINUTE = 60.0


@pytest.fixture
def without_prometheus(cluster: Cluster) -> Iterator[float]:
    """Prometheus is down until it is brought back; yields since when."""
    cluster.kill_component("prometheus")
    yield time.monotonic()
    cluster.up(real_nodes=0)


def test_alone_and_with_all_else(
    without_prometheus: float,
    agents: Agents,
    boards: AllocatedJoules,
    restricted: Namespace,
    cluster: Cluster,
    operators: Operators,
    readings: dict[str, str],
) -> None:
    namespace = restricted
    v100, a40 = (cluster.gpu_node(model).name for model in ("V100", "A40"))
    namespace.submit(training("alone", v100, seconds=ALONE_SECONDS), training("all", a40, seconds=SECOND_SECONDS))
    for name in ("alone", "all"):
        namespace.wait_for_phase(name, "Running")

    began = time.monotonic()
    time.sleep(FIRST_SECONDS / 2)
    [pod] = namespace.pods("all")
    exporters.kill(pod)
    time.sleep(FIRST_SECONDS / 2)
    evict(namespace, pod)
    namespace.wait_for_job("all", _runs_again, "it runs again")
    namespace.wait_for_phase("alone", "Succeeded", timeout_seconds=ALONE_SECONDS)
    alone = namespace.wait_for_job("alone", is_settled, "its last reading is in the ledger")
    assert time.monotonic() - began < MINUTE, "all of it was without Prometheus"

    operators.shared(readings).kill()
    operators.shared(readings)
    time.sleep(max(0.0, without_prometheus + MINUTE - time.monotonic()))
    cluster.up(real_nodes=0)
    namespace.wait_for_phase("all", "Succeeded", timeout_seconds=SECOND_SECONDS + 30)
    everything = namespace.wait_for_job("all", is_settled, "its last readings are in the ledger")

    wait_a_tick()
    assert gpu_joules(alone) == pytest.approx(boards.of(namespace.name, "alone"), rel=0.01)
    assert gpu_joules(everything) == pytest.approx(boards.of(namespace.name, "all"), rel=0.01)
    for job, attempts in ((alone, 1), (everything, 2)):
        assert [each.get("podsWithoutLastReading", 0) for each in ledger(job)] == [0] * attempts


def _runs_again(job: JsonObject) -> bool:
    status = job["status"]
    return len(status["attempts"]) == 2 and status["phase"] == "Running"
