"""A job of higher priority takes the place of one that keeps a checkpoint, which comes back and finishes."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.evidence import ends_of_pods, first_version
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, phase
from tests.e2e.preemption.checkpoints import checkpoint_volume, saving
from tests.e2e.priority_classes import priority_class

NODE = "v100-1"
HIGH = "ballast-test-urgent"

pytestmark = pytest.mark.usefixtures("operator", "high")


@pytest.fixture
def high(kube: Kube) -> Iterator[None]:
    """A class above those that have none."""
    with priority_class(kube, HIGH, 1000):
        yield


def test_it_makes_room_and_comes_back(namespace: Namespace, kube: Kube, audit: AuditLog) -> None:
    with checkpoint_volume(namespace, kube):
        namespace.submit(saving(training_job("a-low").gpus(8).on_node(NODE).runs(seconds=8).takes_to_end(seconds=2)))
        running = namespace.wait_for_phase("a-low", "Running")
        namespace.submit(training_job("b-high").gpus(8).on_node(NODE).runs(seconds=2).priority(HIGH))
        assert namespace.wait_until_refused("b-high", "Preempting").startswith(
            f"waits for 1 job of lower priority on {NODE} to save and end"
        )
        stopping = namespace.wait_for_phase("a-low", "Suspending")
        assert stopping["status"]["reason"] == "Preempted"
        told = namespace.wait_for_event("a-low", "Preempted")["message"]
        assert "a job of priority 1000 needs the room, its own priority is 0" in told
        assert "b-high" not in told
        namespace.wait_for_phase("b-high", "Succeeded")
        status = namespace.wait_for_phase("a-low", "Succeeded")["status"]

        assert [attempt["outcome"] for attempt in status["attempts"]] == ["Preempted", "Succeeded"]
        assert status["queuedAt"] == running["status"]["queuedAt"]
        assert status.get("failures", 0) == 0
        jobs = namespace.history(namespace.jobs_path, namespace.since)
        pods = namespace.history(namespace.pods_path, namespace.since)
        placed = first_version(jobs, "b-high", lambda _, job: phase(job) == "Placing")
        assert min(ends_of_pods(pods, "a-low-1")) < placed, "not before the pods are gone"
        assert placed < first_version(jobs, "a-low", partial(_is_placed, 2))
        assert_nothing_left(namespace, audit)


def test_one_without_a_checkpoint_is_left_alone(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("a-low").gpus(8).on_node(NODE).runs(seconds=5))
    namespace.wait_for_phase("a-low", "Running")
    namespace.submit(training_job("b-high").gpus(8).on_node(NODE).priority(HIGH))
    assert "1 keep no checkpoint" in namespace.wait_until_refused("b-high", "WaitingForCapacity")
    assert len(namespace.wait_for_phase("a-low", "Succeeded")["status"]["attempts"]) == 1
    namespace.wait_for_phase("b-high", "Succeeded")
    assert_nothing_left(namespace, audit)


def _is_placed(attempt: int, _change: str, job: JsonObject) -> bool:
    return phase(job) == "Placing" and len(job["status"]["attempts"]) == attempt
