"""`activeDeadlineSeconds` bounds the running time of all attempts together; what is over it gets its grace to end."""

from __future__ import annotations

from datetime import datetime

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.evidence import first_version
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import ENDED, Namespace, condition, phase

NODE = "a40-1"

pytestmark = pytest.mark.usefixtures("operator")


def test_a_running_job_fails(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).runs(seconds=600).spec(activeDeadlineSeconds=2))
    job = namespace.wait_for_phase("digits", "Failed")
    failed = condition(job, "Failed")
    assert failed is not None
    assert failed["reason"] == "DeadlineExceeded"
    assert "activeDeadlineSeconds (2 s)" in failed["message"]
    assert namespace.wait_for_event("digits", "Failed")["type"] == "Warning"
    [attempt] = job["status"]["attempts"]
    assert attempt["outcome"] == "DeadlineExceeded"
    assert _seconds(attempt["runningAt"], attempt["stoppedAt"]) >= 1  # whole seconds are kept
    assert namespace.pods("digits") == []
    assert_nothing_left(namespace, audit)


def test_waiting_does_not_count(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("a-holds").gpus(4).on_node(NODE).runs(seconds=4))
    namespace.wait_for_phase("a-holds", "Running")
    namespace.submit(training_job("b-waits").gpus(4).on_node(NODE).runs(seconds=1).spec(activeDeadlineSeconds=3))
    namespace.wait_for_phase("b-waits", "Succeeded")
    assert_nothing_left(namespace, audit)


def test_a_suspension_does_not_count_and_what_ran_before_does(namespace: Namespace, audit: AuditLog) -> None:
    deadline = 6
    namespace.submit(
        training_job("digits").gpus(1).on_node(NODE).runs(seconds=600).spec(activeDeadlineSeconds=deadline),
        training_job("a-while").gpus(1).on_node(NODE).runs(seconds=3),
    )
    namespace.wait_for_phase("digits", "Running")
    namespace.wait_for_phase("a-while", "Succeeded")
    namespace.edit("digits", suspend=True)
    before = namespace.wait_for_phase("digits", "Suspended")["status"]
    assert before["activeSeconds"] >= 3
    namespace.submit(training_job("another-while").gpus(1).on_node(NODE).runs(seconds=deadline + 1))
    namespace.wait_for_phase("another-while", "Succeeded")
    namespace.edit("digits", suspend=False)
    namespace.wait_for_phase("digits", "Running")
    status = namespace.wait_for_phase("digits", "Failed")["status"]

    assert status["reason"] == "DeadlineExceeded"
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["Suspended", "DeadlineExceeded"]
    first, second = status["attempts"]
    assert _seconds(first["finishedAt"], second["runningAt"]) >= deadline
    # It got what was left of its time, neither all of it again nor none.
    left = deadline - before["activeSeconds"]
    assert left - 1 <= _seconds(second["runningAt"], second["stoppedAt"]) < deadline
    assert status["activeSeconds"] >= deadline
    assert_nothing_left(namespace, audit)


def test_pods_keep_their_gpus_until_they_are_gone(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(
        training_job("a-long").gpus(4).on_node(NODE).runs(seconds=600).takes_to_end(seconds=3)
        .spec(activeDeadlineSeconds=1)
    )  # fmt: skip
    namespace.wait_for_phase("a-long", "Running")
    namespace.submit(training_job("b-waits").gpus(4).on_node(NODE))
    stopping = namespace.wait_for_phase("a-long", "Suspending")
    assert stopping["status"]["reason"] == "DeadlineExceeded"
    assert (condition(stopping, "Admitted") or {})["status"] == "True"
    namespace.wait_for_phase("a-long", "Failed")
    namespace.wait_for_phase("b-waits", "Succeeded")

    jobs = namespace.history(namespace.jobs_path, namespace.since)
    pods = namespace.history(namespace.pods_path, namespace.since)
    [name] = {pod["metadata"]["name"] for _, pod in pods if pod["metadata"]["name"].startswith("a-long")}
    ended = first_version(pods, name, lambda kind, pod: kind == "DELETED" or pod["status"]["phase"] in ENDED)
    assert ended < first_version(jobs, "a-long", lambda _, job: phase(job) == "Failed")
    assert ended < first_version(jobs, "b-waits", lambda _, job: phase(job) == "Placing")
    assert_nothing_left(namespace, audit)


def test_it_may_be_changed_while_the_job_runs(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).runs(seconds=600).spec(activeDeadlineSeconds=600))
    namespace.wait_for_phase("digits", "Running")
    namespace.edit("digits", activeDeadlineSeconds=1)
    status: JsonObject = namespace.wait_for_phase("digits", "Failed")["status"]
    assert status["reason"] == "DeadlineExceeded"
    assert_nothing_left(namespace, audit)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
