"""A job is queued, placed, run and ends well, and says so in numbers at every step."""

from __future__ import annotations

import re

import pytest

from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, condition, phase

pytestmark = pytest.mark.usefixtures("operator")


def test_phases_follow_each_other(namespace: Namespace) -> None:
    since = namespace.kube.version(namespace.jobs_path)
    namespace.submit(
        training_job("first").gpus(8).on_node("v100-0"),
        training_job("second").gpus(8).on_node("v100-0"),
    )
    namespace.wait_for_phase("second", "Succeeded")

    phases: dict[str, list[str]] = {"first": [], "second": []}
    for _, job in namespace.history(namespace.jobs_path, since):
        seen = phases[job["metadata"]["name"]]
        if phase(job) not in seen[-1:]:
            seen.append(phase(job))

    assert phases["first"][-3:] == ["Placing", "Running", "Succeeded"]
    assert phases["second"] == ["Pending", "Queued", "Placing", "Running", "Succeeded"]


def test_status_tells_where_and_when(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").gpus(2).on_node("a100-1"))
    status = namespace.wait_for_phase("digits", "Succeeded")["status"]

    assert status["placement"] == [{"pod": "digits-1-0", "node": "a100-1", "gpuModel": "A100", "gpus": 2}]
    assert status["nodes"] == "a100-1"
    assert status["gpus"] == 2
    assert status["energy"]["predictedWatts"] == pytest.approx(608, rel=0.5)
    [attempt] = status["attempts"]
    assert attempt["outcome"] == "Succeeded"
    moments = [status["queuedAt"], attempt["startedAt"], attempt["runningAt"], attempt["finishedAt"]]
    assert moments == sorted(moments)


def test_conditions_say_why_in_numbers(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").pods(2).gpus(4).on_node("v100-1"))
    job = namespace.wait_for_phase("digits", "Succeeded")

    conditions = {found["type"]: found for found in job["status"]["conditions"]}
    holding = {kind for kind, found in conditions.items() if found["status"] == "True"}
    assert holding == {"Complete"}
    assert conditions.keys() == {"Admitted", "Placed", "Running", "Complete"}
    assert re.search(r"2 pods .*exit code 0, \d+ s after", conditions["Complete"]["message"])
    assert all(found["observedGeneration"] == 1 for found in conditions.values())


def test_events_tell_the_owner(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").pods(2).gpus(4).on_node("v100-1"))
    namespace.wait_for_event("digits", "Succeeded")

    events = namespace.events("digits")
    assert [event["reason"] for event in events] == ["Admitted", "Running", "Succeeded"]
    assert "8 V100 on v100-1, predicted" in events[0]["message"]
    assert all(re.search(r"\d", event["message"]) for event in events)


def test_a_job_is_admitted_with_its_reservation(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node("a40-0").runs(seconds=60))
    job = namespace.wait_for_phase("digits", "Running")

    admitted = condition(job, "Admitted")
    assert admitted is not None
    assert (admitted["status"], admitted["reason"]) == ("True", "Reserved")
    [pod] = namespace.pods("digits")
    assert pod["spec"]["nodeName"] == "a40-0"
