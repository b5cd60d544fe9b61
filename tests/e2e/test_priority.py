"""Priority classes order the queue; one that does not exist is named, and its job goes on when it does."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.evidence import first_version
from tests.e2e.kube import Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, phase
from tests.e2e.priority_classes import priority_class

NODE = "v100-1"
LOW, HIGH, LATER = "ballast-test-low", "ballast-test-high", "ballast-test-later"

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture
def classes(kube: Kube) -> Iterator[None]:
    """A class below and one above those that have none."""
    with priority_class(kube, LOW, -100), priority_class(kube, HIGH, 200):
        yield


@pytest.mark.usefixtures("classes")
def test_they_order_the_queue(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("holder").gpus(8).on_node(NODE).runs(seconds=600))
    namespace.wait_for_phase("holder", "Running")
    whole = {"a-low": LOW, "b-none": None, "c-high": HIGH}
    for name, class_name in whole.items():
        job = training_job(name).gpus(8).on_node(NODE)
        namespace.submit(job.priority(class_name) if class_name else job)
        namespace.wait_until_refused(name, "WaitingForCapacity")
    namespace.wait_for_job("c-high", lambda job: job["status"]["queue"]["position"] == 1, "c-high is first")
    namespace.delete_job("holder")
    for name in whole:
        namespace.wait_for_phase(name, "Succeeded")

    jobs = namespace.history(namespace.jobs_path, namespace.since)
    admitted = {name: first_version(jobs, name, lambda _, job: phase(job) == "Placing") for name in whole}
    assert sorted(whole, key=lambda name: admitted[name]) == ["c-high", "b-none", "a-low"]
    assert_nothing_left(namespace, audit)


def test_an_unknown_class_is_named_and_healed(namespace: Namespace, kube: Kube, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).priority(LATER))
    message = namespace.wait_until_refused("digits", "InvalidSpec")
    assert "spec.template.spec.priorityClassName" in message
    assert LATER in message
    assert namespace.wait_for_event("digits", "InvalidSpec")["type"] == "Warning"

    with priority_class(kube, LATER, 7):
        namespace.wait_for_phase("digits", "Succeeded")
    assert_nothing_left(namespace, audit)


def test_a_class_deleted_while_its_job_runs_does_not_harm_it(namespace: Namespace, kube: Kube, audit: AuditLog) -> None:
    with priority_class(kube, LATER, 7):
        namespace.submit(training_job("digits").gpus(8).on_node(NODE).runs(seconds=4).priority(LATER))
        namespace.wait_for_phase("digits", "Running")
    namespace.submit(training_job("next").gpus(8).on_node(NODE))
    namespace.wait_until_refused("next", "WaitingForCapacity")
    status = namespace.wait_for_phase("digits", "Succeeded")["status"]
    assert len(status["attempts"]) == 1
    assert_nothing_left(namespace, audit)
