"""A trainer that fails for the last time makes its job fail, with its exit code, and frees what it held."""

from __future__ import annotations

import pytest

from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, condition

pytestmark = pytest.mark.usefixtures("operator")


def test_exit_code_is_in_condition_and_event(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node("a40-0").exits(42).spec(retryLimit=0))
    job = namespace.wait_for_phase("digits", "Failed")

    failed = condition(job, "Failed")
    assert failed is not None
    assert (failed["status"], failed["reason"]) == ("True", "TrainerFailed")
    assert "exited with code 42" in failed["message"]
    assert job["status"]["attempts"][-1]["outcome"] == "Failed"
    event = namespace.wait_for_event("digits", "Failed")
    assert event["type"] == "Warning"
    assert "exited with code 42" in event["message"]


def test_its_capacity_goes_to_the_next(namespace: Namespace) -> None:
    namespace.submit(
        training_job("a-fails").gpus(4).on_node("a40-1").exits(1).spec(retryLimit=0),
        training_job("b-waits").gpus(4).on_node("a40-1"),
    )
    namespace.wait_for_phase("a-fails", "Failed")
    namespace.wait_for_phase("b-waits", "Succeeded")
