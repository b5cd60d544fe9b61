"""An image that cannot be pulled: another node would not help, so it counts as the job's own failure, and says so."""

from __future__ import annotations

import pytest

from tests.conftest import HASTY
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, condition
from tests.e2e.operators import Operators

SAID = "Back-off pulling image example.com/trainer:1: not found"


@pytest.fixture(autouse=True)
def impatient_operator(operators: Operators) -> None:
    """An operator that gives gangs little time to start."""
    operators.shared({**HASTY, "BALLAST_PLACEMENT_TIMEOUT_SECONDS": "3"})


def test_the_job_fails_with_the_images_message(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(
        training_job("gang").pods(2).gpus(2).on_node("a40-0").cannot_start("ImagePullBackOff", SAID).spec(retryLimit=1)
    )
    job = namespace.wait_for_phase("gang", "Failed")
    assert job["status"]["failures"] == 2
    for attempt in job["status"]["attempts"]:
        assert (attempt["outcome"], attempt["reason"]) == ("Failed", "PodCannotStart")
        assert f"ImagePullBackOff: {SAID}" in attempt["message"]
        assert attempt["avoid"] == []
    failed = condition(job, "Failed")
    assert failed is not None
    assert failed["reason"] == "PodCannotStart"
    assert SAID in failed["message"]
    assert "2 failures, retryLimit 1" in failed["message"]
    assert SAID in namespace.wait_for_event("gang", "Failed")["message"]
    assert namespace.pods("gang") == []
    assert_nothing_left(namespace, audit)


def test_an_image_put_right_between_attempts_runs(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node("a40-0").cannot_start("ErrImagePull", SAID))
    namespace.wait_until_refused("digits", "PodCannotStart")
    template = (
        training_job("digits").gpus(1).on_node("a40-0").image("example.com/right:1").manifest()["spec"]["template"]
    )
    waiting = {"ballast.dev/simulated-waiting-reason": None, "ballast.dev/simulated-waiting-message": None}
    template["metadata"]["annotations"].update(waiting)
    namespace.edit("digits", template=template)
    status = namespace.wait_for_phase("digits", "Succeeded")["status"]
    assert [attempt["outcome"] for attempt in status["attempts"]] == ["Failed", "Succeeded"]
    assert_nothing_left(namespace, audit)
