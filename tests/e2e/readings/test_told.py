"""What a job tells of itself while it runs and when it has ended, and whom its pods tell it."""

from __future__ import annotations

import pytest

from ballast.api.exporter import ENERGY, METRICS_PORT, PROGRESS_PORT
from ballast.api.finalreading import FINALIZER
from tests.e2e.agent.jobs import IMAGE
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import condition
from tests.e2e.readings import exporters
from tests.e2e.readings.allocated import wait_a_tick
from tests.e2e.readings.jobs import gpu_joules, is_settled, training
from tests.e2e.readings.stories import Stage, Told

pytestmark = pytest.mark.slow

SECONDS = 45
REACH = """
import socket
for port in {ports}:
    try:
        socket.create_connection(("{host}", port), timeout=5).close()
        print(port, "open")
    except OSError as error:
        print(port, type(error).__name__)
"""


def steady(stage: Stage) -> JsonObject:
    """Nothing happens to it; a neighbour tries its ports."""
    namespace = stage.namespace
    namespace.submit(training("steady", stage.v100, seconds=SECONDS))
    namespace.wait_for_phase("steady", "Running")
    [pod] = namespace.pods("steady")
    exporters.wait_for_sum_of(ENERGY, pod)  # it listens
    reached = _reach_from_another_pod(stage, pod)
    live = namespace.wait_for_job("steady", _is_told, "watts, joules and progress are told, and fresh")
    table = stage.cluster.kubectl("-n", namespace.name, "get", "tj", "steady", "-o", "wide")
    namespace.wait_for_phase("steady", "Succeeded", timeout_seconds=SECONDS + 30)
    end = namespace.wait_for_job("steady", is_settled, "its last reading is in the ledger")
    namespace.wait_for_pods(_none_is_held, "no pod is held for the ledger any more")
    wait_a_tick()
    return {
        "reached": reached, "live": live, "table": table, "end": end,
        "boards": stage.boards.of(namespace.name, "steady"),
    }  # fmt: skip


STORIES = (steady,)


def test_power_energy_and_progress_while_it_runs(told: Told) -> None:
    status = told.end_of(steady)["live"]["status"]
    assert 50 < status["energy"]["watts"] < 350
    assert status["energy"]["joules"] > 50
    assert status["progress"]["step"] > 3
    assert status["progress"]["totalSteps"] == SECONDS
    assert 0 < status["progress"]["percent"] < 100
    assert 0 < status["progress"]["estimatedSecondsLeft"] < 2 * SECONDS
    fresh = condition({"status": status}, "TelemetryFresh")
    assert fresh is not None
    assert (fresh["status"], fresh["reason"]) == ("True", "ReadingsFresh")


def test_kubectl_shows_watts_and_energy(told: Told) -> None:
    story = told.end_of(steady)
    header, row = story["table"].splitlines()
    assert {"DONE%", "WATTS", "ENERGY"} <= set(header.split())
    status = story["live"]["status"]
    assert " ".join(status["energy"]["used"].split()) in " ".join(row.split())
    assert f" {round(status['energy']['watts'])} " in row


def test_the_ledger_has_what_the_board_counted(told: Told) -> None:
    story = told.end_of(steady)
    [attempt] = story["end"]["status"]["attempts"]
    assert gpu_joules(story["end"]) == pytest.approx(story["boards"], rel=0.01)
    energy = attempt["energy"]
    assert energy["pods"] == 1
    assert energy.get("podsWithoutLastReading", 0) == 0
    assert energy["joules"] == pytest.approx(
        sum(energy.get(f"{each}Joules", 0) for each in ("gpu", "cpu", "dram")), abs=1
    )
    assert 0 < energy["idleJoules"] < energy["joules"]
    assert story["end"]["status"]["energy"]["joules"] == pytest.approx(energy["joules"], rel=0.01)


def test_only_the_trainer_can_report(told: Told) -> None:
    assert told.end_of(steady)["reached"].split("\n")[:2] == [
        f"{METRICS_PORT} open", f"{PROGRESS_PORT} ConnectionRefusedError",
    ]  # fmt: skip


def _is_told(job: JsonObject) -> bool:
    status, fresh = job["status"], condition(job, "TelemetryFresh")
    progress = status.get("progress", {})
    return (
        fresh is not None
        and fresh["status"] == "True"
        and status.get("energy", {}).get("watts", 0) > 50
        and progress.get("step", 0) > 3
        # The speed that it follows from takes a few steps more than the step itself.
        and "estimatedSecondsLeft" in progress
    )


def _none_is_held(pods: list[JsonObject]) -> bool:
    return not any(FINALIZER in pod["metadata"].get("finalizers", ()) for pod in pods)


def _reach_from_another_pod(stage: Stage, pod: JsonObject) -> str:
    """Try to connect to a pod's two ports from another one on the same node; return what came of it."""
    namespace, ports = stage.namespace, (METRICS_PORT, PROGRESS_PORT)
    container = {
        "name": "neighbour", "image": IMAGE, "imagePullPolicy": "IfNotPresent",
        "command": ["python", "-c", REACH.format(ports=ports, host=pod["status"]["podIP"])],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }  # fmt: skip
    spec = {
        "restartPolicy": "Never", "nodeName": pod["spec"]["nodeName"], "containers": [container],
        "tolerations": [{"operator": "Exists"}],
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    }  # fmt: skip
    metadata = {"name": "neighbour"}
    stage.kube.create(namespace.pods_path, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec})
    namespace.wait(namespace.pods_path, "neighbour", _succeeded, "the neighbour has tried")
    return stage.cluster.kubectl("-n", namespace.name, "logs", "neighbour")


def _succeeded(pods: list[JsonObject]) -> bool:
    return bool(pods) and pods[0]["status"].get("phase") == "Succeeded"
