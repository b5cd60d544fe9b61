"""Without any Prometheus jobs run and the ledger is kept; what is live is not known, and says so (G6)."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.e2e.agents import Agents
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace, condition
from tests.e2e.operators import Operators
from tests.e2e.readings.allocated import AllocatedJoules, wait_a_tick
from tests.e2e.readings.jobs import gpu_joules, is_settled, training

pytestmark = pytest.mark.slow

SECONDS = 20


def test_phases_and_ledger_are_as_ever(
    agents: Agents,
    boards: AllocatedJoules,
    restricted: Namespace,
    cluster: Cluster,
    operators: Operators,
    readings: dict[str, str],
) -> None:
    operators.shared({**readings, "BALLAST_PROMETHEUS_URL": ""})
    restricted.submit(training("train", cluster.gpu_node("V100").name, seconds=SECONDS))
    restricted.wait_for_job("train", _says_that_nothing_is_known, "it runs, and says that nothing is known of it")
    restricted.wait_for_phase("train", "Succeeded")
    job = restricted.wait_for_job("train", is_settled, "its last reading is in the ledger")
    assert len(job["status"]["attempts"]) == 1, "nothing was stopped"
    wait_a_tick()
    assert gpu_joules(job) == pytest.approx(boards.of(restricted.name, "train"), rel=0.02)
    assert job["status"]["energy"]["joules"] >= gpu_joules(job)


def _says_that_nothing_is_known(job: JsonObject) -> bool:
    fresh = condition(job, "TelemetryFresh")
    told = fresh is not None and (fresh["status"], fresh["reason"]) == ("Unknown", "NoTelemetry")
    return told and job["status"]["phase"] == "Running"
