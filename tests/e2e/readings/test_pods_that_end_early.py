"""Pods that are evicted, deleted, force-deleted or suspended are in the ledger to their end; none is stuck on it."""

from __future__ import annotations

import time

import pytest

from tests.e2e.kube import JsonObject
from tests.e2e.namespace import phase
from tests.e2e.readings.allocated import wait_a_tick
from tests.e2e.readings.jobs import gpu_joules, is_settled, ledger, training
from tests.e2e.readings.stories import Stage, Told, evict

pytestmark = pytest.mark.slow

RUNS_SECONDS = 30
SLACK_JOULES = 100
"""Four seconds without load: as late may a busy kubelet say that a board is free again, and the agent have heard. In
runs this short that is more than 1 %."""


def evicted(stage: Stage) -> JsonObject:
    """Its pod is evicted; the next one trains to the end."""
    namespace = stage.namespace
    [pod] = _run(stage, stage.v100, seconds=60, wait_seconds=45)
    evict(namespace, pod)
    namespace.wait_for_job("train", lambda job: len(job["status"]["attempts"]) > 1, "it is tried again")
    namespace.wait_for_phase("train", "Succeeded", timeout_seconds=120)
    return _settled(stage)


def deleted(stage: Stage) -> JsonObject:
    """Its pod is deleted; it stays suspended then, so that all of it is in the ledger."""
    [pod] = _run(stage, stage.a40)
    stage.kube.delete(f"{stage.namespace.pods_path}/{pod['metadata']['name']}")
    return _first_attempt(stage)


def force_deleted(stage: Stage) -> JsonObject:
    """Its pod is deleted without any grace."""
    [pod] = _run(stage, stage.v100)
    stage.kube.delete(f"{stage.namespace.pods_path}/{pod['metadata']['name']}", gracePeriodSeconds=0)
    return _first_attempt(stage)


def suspended(stage: Stage) -> JsonObject:
    """Its owner suspends it."""
    _run(stage, stage.a40)
    stage.namespace.edit("train", suspend=True)
    stage.namespace.wait_for_phase("train", "Suspended")
    return _settled(stage)


def job_deleted(stage: Stage) -> JsonObject:
    """Its owner deletes the job."""
    _run(stage, stage.a40, wait_seconds=2)
    stage.namespace.delete_job("train")
    stage.namespace.wait_until_gone()
    return {}


def namespace_deleted(stage: Stage) -> JsonObject:
    """Somebody deletes the whole namespace."""
    _run(stage, stage.a40, wait_seconds=2)
    stage.kube.delete(f"/api/v1/namespaces/{stage.namespace.name}")
    stage.namespace.wait("/api/v1/namespaces", stage.namespace.name, lambda found: not found, "the namespace is gone")
    return {}


STORIES = (evicted, deleted, force_deleted, suspended, job_deleted, namespace_deleted)


@pytest.mark.parametrize(
    ("story", "slack"),
    [(evicted, 0), (deleted, SLACK_JOULES), (force_deleted, SLACK_JOULES), (suspended, SLACK_JOULES)],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_the_ledger_has_what_the_boards_counted(story: object, slack: float, told: Told) -> None:
    end = told.end_of(story)  # type: ignore[arg-type]
    assert end["gpuJoules"] == pytest.approx(end["boards"], rel=0.01, abs=slack), end["ledger"]
    assert end["gpuJoules"] > 10 * SLACK_JOULES, "it computed"
    assert [each.get("podsWithoutLastReading", 0) for each in end["ledger"]] == [0] * len(end["ledger"])


@pytest.mark.parametrize("story", [job_deleted, namespace_deleted], ids=lambda story: story.__name__)
def test_nothing_is_stuck(story: object, told: Told) -> None:
    assert told.end_of(story) == {}  # type: ignore[arg-type]


def _run(stage: Stage, node: str, seconds: int = 600, wait_seconds: int = RUNS_SECONDS) -> list[JsonObject]:
    """Let a job run for a while; return its pods."""
    stage.namespace.submit(training("train", node, seconds=seconds))
    stage.namespace.wait_for_phase("train", "Running")
    time.sleep(wait_seconds)
    return stage.namespace.pods("train")


def _first_attempt(stage: Stage) -> JsonObject:
    """Suspend the job, whatever follows the first attempt; return what is in the ledger then."""
    stage.namespace.edit("train", suspend=True)
    stage.namespace.wait_for_job("train", lambda job: phase(job) == "Suspended", "it is suspended")
    return _settled(stage)


def _settled(stage: Stage) -> JsonObject:
    job = stage.namespace.wait_for_job("train", is_settled, "its last readings are in the ledger")
    wait_a_tick()
    boards = stage.boards.of(stage.namespace.name, "train")
    return {"gpuJoules": gpu_joules(job), "ledger": ledger(job), "boards": boards}
