"""What may be edited in which phase, and what an edit is good for: the last one before admission is what runs."""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.kube import JsonObject, Refused
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace

NODE = "v100-0"
OTHER_IMAGE = "example.com/other:2"

pytestmark = pytest.mark.usefixtures("operator")


def _other_template(namespace: Namespace, name: str) -> JsonObject:
    template: JsonObject = namespace.job(name)["spec"]["template"]
    template["spec"]["containers"][0]["image"] = OTHER_IMAGE
    return template


def _refused(namespace: Namespace, name: str) -> None:
    changes = {"replicas": 3, "launcher": "torchrun", "template": _other_template(namespace, name)}
    for field, value in changes.items():
        with pytest.raises(Refused, match=f"spec.{field} is immutable while the job is admitted and after its end"):
            namespace.edit(name, **{field: value})


def test_placing(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).held())
    namespace.wait_for_phase("digits", "Placing")
    _refused(namespace, "digits")
    assert_nothing_left(namespace, audit)


def test_suspending(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).runs(seconds=600).takes_to_end(seconds=5))
    namespace.wait_for_phase("digits", "Running")
    namespace.edit("digits", suspend=True)
    namespace.wait_for_phase("digits", "Suspending")
    _refused(namespace, "digits")
    assert_nothing_left(namespace, audit)


@pytest.mark.parametrize(("code", "end"), [(0, "Succeeded"), (1, "Failed")])
def test_ended(code: int, end: str, namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).exits(code).spec(retryLimit=0))
    namespace.wait_for_phase("digits", end)
    _refused(namespace, "digits")
    namespace.edit("digits", suspend=True, retryLimit=5)  # harmless, and without effect
    namespace.submit(training_job("next").gpus(1).on_node(NODE))
    namespace.wait_for_phase("next", "Succeeded")
    assert namespace.job("digits")["status"]["phase"] == end
    assert_nothing_left(namespace, audit)


def test_suspended_everything_may_change(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).runs(seconds=600))
    namespace.wait_for_phase("digits", "Running")
    namespace.edit("digits", suspend=True)
    namespace.wait_for_phase("digits", "Suspended")
    namespace.edit("digits", replicas=2, launcher="torchrun", template=_other_template(namespace, "digits"))
    namespace.edit("digits", suspend=False)
    status = namespace.wait_for_phase("digits", "Running")["status"]

    assert len(status["placement"]) == 2
    assert status["gpus"] == 2
    assert {pod["spec"]["containers"][0]["image"] for pod in namespace.pods("digits")} == {OTHER_IMAGE}
    assert namespace.kube.find(f"{namespace.services_path}/digits-gang") is not None
    assert_nothing_left(namespace, audit)


def test_the_template_edited_while_queued_is_what_runs(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("holder").gpus(8).on_node(NODE).runs(seconds=600))
    namespace.wait_for_phase("holder", "Running")
    namespace.submit(training_job("digits").gpus(8).on_node(NODE).runs(seconds=600))
    namespace.wait_until_refused("digits", "WaitingForCapacity")
    namespace.edit("digits", template=_other_template(namespace, "digits"))
    namespace.edit("digits", replicas=2)
    namespace.wait_until_refused("digits", "ClusterTooSmall")
    namespace.edit("digits", replicas=1)
    namespace.delete_job("holder")
    job = namespace.wait_for_phase("digits", "Running")
    [pod] = namespace.pods("digits")
    assert pod["spec"]["containers"][0]["image"] == OTHER_IMAGE
    assert job["status"]["observedGeneration"] == job["metadata"]["generation"] == 4
    assert_nothing_left(namespace, audit)


def test_running_the_rest_may_change(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).runs(seconds=5).exits(1))
    namespace.wait_for_phase("digits", "Running")
    namespace.edit("digits", retryLimit=0, ttlSecondsAfterFinished=600, activeDeadlineSeconds=600)
    namespace.edit("digits", checkpointGraceSeconds=7)
    status = namespace.wait_for_phase("digits", "Failed")["status"]
    assert len(status["attempts"]) == 1
    assert_nothing_left(namespace, audit)


def test_labels_and_annotations_may_change_at_any_moment(namespace: Namespace, audit: AuditLog) -> None:
    namespace.submit(training_job("digits").gpus(1).on_node(NODE).runs(seconds=3))
    namespace.wait_for_phase("digits", "Running")
    metadata = {"labels": {"team": "vision"}, "annotations": {"example.com/note": "x"}}
    namespace.kube.merge(f"{namespace.jobs_path}/digits", {"metadata": metadata})
    job = namespace.wait_for_phase("digits", "Succeeded")
    assert job["metadata"]["labels"]["team"] == "vision"
    assert len(job["status"]["attempts"]) == 1
    assert_nothing_left(namespace, audit)
