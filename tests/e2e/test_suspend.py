"""`spec.suspend` at any moment: the pods end, what they held is free when they are gone, and the job can go on."""

from __future__ import annotations

from functools import partial

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.evidence import ends_of_pods, first_version
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, condition, phase
from tests.e2e.operators import Operators

NODE = "a40-0"

pytestmark = pytest.mark.usefixtures("operator")


def test_while_queued(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").pods(64).gpus(8))
    namespace.wait_until_refused("digits", "ClusterTooSmall")
    namespace.edit("digits", suspend=True)
    status = namespace.wait_for_phase("digits", "Suspended")["status"]
    assert status["reason"] == "Suspended"
    assert "queue" not in status
    assert status["attempts"] == []

    namespace.edit("digits", suspend=False, replicas=1)
    namespace.wait_for_phase("digits", "Running")
    assert_nothing_left(namespace, audit)


def test_from_the_beginning(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).spec(suspend=True))
    job = namespace.wait_for_phase("digits", "Suspended")
    admitted = condition(job, "Admitted")
    assert admitted is not None
    assert (admitted["status"], admitted["reason"]) == ("False", "Suspended")
    assert namespace.wait_for_event("digits", "Suspended")["type"] == "Normal"
    assert namespace.pods("digits") == []

    namespace.edit("digits", suspend=False)
    namespace.wait_for_phase("digits", "Succeeded")
    assert_nothing_left(namespace, audit)


def test_while_placing(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("gang").pods(2).gpus(2).torchrun().on_node(NODE).held())
    namespace.wait_for_phase("gang", "Placing")
    namespace.wait_for_pods(lambda pods: len(pods) == 2, "both pods exist")
    namespace.edit("gang", suspend=True)
    status = namespace.wait_for_phase("gang", "Suspended")["status"]
    assert status["attempts"][-1]["outcome"] == "Suspended"
    assert status["placement"] == []
    assert namespace.pods("gang") == []

    namespace.edit("gang", suspend=False)
    namespace.wait_for_phase("gang", "Placing")
    assert namespace.job("gang")["status"]["attempts"][-1]["number"] == 2
    assert_nothing_left(namespace, audit)


def test_while_running_holds_gpus_until_the_pods_are_gone(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("a-slow").pods(2).gpus(2).on_node(NODE).runs(seconds=600).takes_to_end(seconds=4))
    namespace.wait_for_phase("a-slow", "Running")
    namespace.submit(training_job("b-waits").gpus(4).on_node(NODE).runs(seconds=600))
    namespace.wait_until_refused("b-waits", "WaitingForCapacity")
    namespace.edit("a-slow", suspend=True)
    stopping = namespace.wait_for_phase("a-slow", "Suspending")
    assert (condition(stopping, "Admitted") or {})["status"] == "True"
    assert (condition(stopping, "Running") or {})["status"] == "False"
    namespace.wait_for_phase("a-slow", "Suspended")
    namespace.wait_for_phase("b-waits", "Running")

    jobs = namespace.history(namespace.jobs_path, namespace.since)
    ended = ends_of_pods(namespace.history(namespace.pods_path, namespace.since), "a-slow")
    assert len(ended) == 2
    assert max(ended) < first_version(jobs, "a-slow", lambda _, job: phase(job) == "Suspended")
    assert max(ended) < first_version(jobs, "b-waits", lambda _, job: phase(job) == "Placing")
    assert_nothing_left(namespace, audit)


def test_resumed_it_goes_to_the_back_of_the_queue(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("a-first").gpus(4).on_node(NODE).runs(seconds=600))
    namespace.wait_for_phase("a-first", "Running")
    namespace.submit(training_job("b-second").gpus(4).on_node(NODE).runs(seconds=3))
    namespace.wait_until_refused("b-second", "WaitingForCapacity")
    namespace.submit(training_job("c-third").gpus(4).on_node(NODE).runs(seconds=3))
    namespace.wait_until_refused("c-third", "WaitingForCapacity")
    namespace.edit("a-first", suspend=True)
    queued_at = namespace.wait_for_phase("a-first", "Suspended")["status"]["queuedAt"]
    namespace.edit("a-first", suspend=False)
    for name in ("b-second", "c-third"):
        namespace.wait_for_phase(name, "Succeeded")
    status = namespace.wait_for_phase("a-first", "Running")["status"]

    assert [attempt["number"] for attempt in status["attempts"]] == [1, 2]
    assert status["queuedAt"] > queued_at
    assert status.get("failures", 0) == 0
    jobs = namespace.history(namespace.jobs_path, namespace.since)
    second, third, again = (
        first_version(jobs, name, partial(_is_placed, attempt))
        for name, attempt in (("b-second", 1), ("c-third", 1), ("a-first", 2))
    )
    assert second < third < again
    assert_nothing_left(namespace, audit)


def test_while_it_waits_for_its_next_attempt(namespace: Namespace, operators: Operators, audit: AuditLog) -> None:
    operators.shared({"BALLAST_RETRY_SECONDS": "600"})
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).exits(1))
    namespace.wait_for_job("digits", lambda job: bool(job["status"].get("retryAt")), "digits waits for a retry")
    namespace.edit("digits", suspend=True)
    status = namespace.wait_for_phase("digits", "Suspended")["status"]
    assert "retryAt" not in status
    assert status["failures"] == 1
    namespace.edit("digits", suspend=False)
    namespace.wait_for_job("digits", lambda job: len(job["status"]["attempts"]) == 2, "digits runs again at once")
    assert_nothing_left(namespace, audit)


def test_taken_back_while_the_pods_end(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(4).on_node(NODE).runs(seconds=600).takes_to_end(seconds=3))
    namespace.wait_for_phase("digits", "Running")
    namespace.edit("digits", suspend=True)
    namespace.wait_for_phase("digits", "Suspending")
    namespace.edit("digits", suspend=False)
    status = namespace.wait_for_phase("digits", "Running")["status"]

    assert [attempt.get("outcome") for attempt in status["attempts"]] == ["Suspended", None]
    seen = [phase(job) for _, job in namespace.history(namespace.jobs_path, namespace.since)]
    assert "Suspended" not in seen
    assert_nothing_left(namespace, audit)


def _is_placed(attempt: int, _change: str, job: JsonObject) -> bool:
    return phase(job) == "Placing" and len(job["status"]["attempts"]) == attempt
