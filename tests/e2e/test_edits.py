"""What may be edited when: nothing that was placed changes under a placement, and a queued job is as last edited."""

from __future__ import annotations

import pytest

from tests.e2e.kube import JsonObject, Refused
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace

pytestmark = pytest.mark.usefixtures("operator")


def _template_with_image(namespace: Namespace, job: str, image: str) -> JsonObject:
    template: JsonObject = namespace.job(job)["spec"]["template"]
    template["spec"]["containers"][0]["image"] = image
    return template


@pytest.mark.parametrize("field", ["replicas", "launcher", "template"])
def test_the_api_server_refuses_edits_of_an_admitted_job(field: str, namespace: Namespace) -> None:
    namespace.submit(training_job("digits").gpus(1).runs(seconds=600))
    namespace.wait_for_phase("digits", "Running")
    value = {
        "replicas": 2,
        "launcher": "torchrun",
        "template": _template_with_image(namespace, "digits", "example.com/other:1"),
    }[field]
    with pytest.raises(Refused, match=f"spec.{field} is immutable while the job is admitted"):
        namespace.kube.merge(f"{namespace.jobs_path}/digits", {"spec": {field: value}})


def test_an_edit_of_a_queued_job_counts(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").pods(64).gpus(8))
    namespace.wait_until_refused("digits", "ClusterTooSmall")
    namespace.kube.merge(f"{namespace.jobs_path}/digits", {"spec": {"replicas": 2}})
    job = namespace.wait_for_phase("digits", "Succeeded")
    assert len(job["status"]["placement"]) == 2
    assert job["status"]["observedGeneration"] == job["metadata"]["generation"] == 2
