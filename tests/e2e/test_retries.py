"""A trainer that fails is tried again as a new attempt, later each time, and not more often than `retryLimit`."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, condition

NODE = "a40-1"

pytestmark = pytest.mark.usefixtures("hasty_operator")


def test_each_attempt_is_new_and_later_than_the_last(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(4).on_node(NODE).exits(42).spec(retryLimit=2))
    job = namespace.wait_for_phase("digits", "Failed")

    attempts = job["status"]["attempts"]
    assert [attempt["number"] for attempt in attempts] == [1, 2, 3]
    assert {(attempt["outcome"], attempt["reason"]) for attempt in attempts} == {("Failed", "TrainerFailed")}
    assert all("exited with code 42" in attempt["message"] for attempt in attempts)
    assert job["status"]["failures"] == 3
    # Whole seconds are kept: a pause of n seconds may look like n - 1.
    pauses = [_seconds(before["finishedAt"], after["startedAt"]) for before, after in pairwise(attempts)]
    assert pauses[0] >= 0
    assert pauses[1] >= 1
    failed = condition(job, "Failed")
    assert failed is not None
    assert (failed["status"], failed["reason"]) == ("True", "TrainerFailed")
    assert "exited with code 42" in failed["message"]
    assert "3 failures, retryLimit 2" in failed["message"]
    assert namespace.wait_for_event("digits", "Failed")["type"] == "Warning"
    assert_nothing_left(namespace, audit)


def test_it_waits_holding_nothing_and_says_until_when(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("a-fails").gpus(4).on_node(NODE).exits(3).spec(retryLimit=100))
    namespace.wait_for_job("a-fails", lambda job: job["status"].get("failures") == 2, "a-fails failed twice")
    job = namespace.wait_for_phase("a-fails", "Queued")
    assert job["status"]["retryAt"] > job["status"]["attempts"][-1]["finishedAt"]
    assert "tried again in" in (condition(job, "Admitted") or {})["message"]
    assert "retryLimit 100" in namespace.wait_for_event("a-fails", "Requeued")["message"]
    namespace.submit(training_job("b-next").gpus(4).on_node(NODE))
    namespace.wait_for_phase("b-next", "Succeeded")
    assert_nothing_left(namespace, audit)


def test_what_is_put_right_meanwhile_counts(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).exits(3))
    job = namespace.wait_for_job("digits", lambda job: bool(job["status"].get("retryAt")), "digits waits for a retry")
    template = job["spec"]["template"]
    template["metadata"]["annotations"]["ballast.dev/simulated-exit-code"] = "0"
    namespace.edit("digits", template=template)
    status = namespace.wait_for_phase("digits", "Succeeded")["status"]
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["Failed", "Succeeded"]
    assert status["failures"] == 1
    assert_nothing_left(namespace, audit)


def test_no_retry_at_all(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("gang").pods(2).gpus(2).on_node(NODE).exits(9).spec(retryLimit=0))
    status = namespace.wait_for_phase("gang", "Failed")["status"]
    assert len(status["attempts"]) == 1
    # The last attempt's pods stay for their logs.
    assert {pod["status"]["phase"] for pod in namespace.pods("gang")} == {"Failed"}
    assert_nothing_left(namespace, audit)


def _seconds(start: str, end: str) -> float:
    return (datetime.fromisoformat(end) - datetime.fromisoformat(start)).total_seconds()
