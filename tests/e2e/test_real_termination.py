"""Stopping a real trainer: SIGTERM, a checkpoint, exit 143, and never a false success."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.cluster.api_client import wait_until
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace, phase, trainer_end
from tests.e2e.real import TRAINING_TIMEOUT_SECONDS, real_job

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("deployed_operator")]

FOR_EVER = ("frugal", "train", "--data", "digits", "--epochs", "1000000", "--report-every", "50")


@pytest.fixture
def training(namespace: Namespace, cluster: Cluster) -> JsonObject:
    """The pod of a job `digits` that has trained for some steps and would go on for ever."""
    namespace.submit(real_job("digits", *FOR_EVER))
    namespace.wait_for_phase("digits", "Running", timeout_seconds=TRAINING_TIMEOUT_SECONDS)
    [pod] = namespace.pods("digits")
    wait_until(
        lambda: "step=" in cluster.kubectl("-n", namespace.name, "logs", pod["metadata"]["name"]),
        "the first progress report in the trainer's log",
        timeout_seconds=TRAINING_TIMEOUT_SECONDS,
    )
    return pod


def test_deleting_the_job_lets_the_trainer_save_and_exit_143(namespace: Namespace, training: JsonObject) -> None:
    since = namespace.kube.version(namespace.pods_path)
    namespace.delete_job("digits")
    last = namespace.last_version(namespace.pods_path, training["metadata"]["name"], since)

    code, result = trainer_end(last)
    assert code == 143
    assert result["outcome"] == "interrupted"
    assert result["signal"] == 15
    assert result["steps"] > 0
    namespace.wait_until_gone()


def test_deleting_the_pod_is_no_success_and_the_training_runs_again(namespace: Namespace, training: JsonObject) -> None:
    namespace.kube.delete(f"{namespace.pods_path}/{training['metadata']['name']}")
    job = namespace.wait_for_job(
        "digits",
        lambda job: len(job["status"]["attempts"]) > 1 and phase(job) == "Running",
        "it runs again",
        TRAINING_TIMEOUT_SECONDS,
    )
    assert [attempt.get("outcome") for attempt in job["status"]["attempts"]] == ["Disrupted", None]
    assert job["status"].get("failures", 0) == 0, "the trainer is not to blame"
