"""A status is written only for the very version of the job that was decided on."""

from __future__ import annotations

import pytest

from ballast.act import paths
from ballast.api.base import API_VERSION
from ballast.kube import ApiRefused, JsonObject, KubeClient
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, phase


def _status_of(job: JsonObject) -> JsonObject:
    metadata = {key: job["metadata"][key] for key in ("name", "namespace", "uid", "resourceVersion")}
    return {"apiVersion": API_VERSION, "kind": "TrainingJob", "metadata": metadata, "status": {"phase": "Queued"}}


async def test_a_new_job_of_the_same_name_is_left_alone(client: KubeClient, namespace: Namespace) -> None:
    namespace.submit(training_job("digits"))
    old = namespace.job("digits")
    namespace.delete_job("digits")
    namespace.submit(training_job("digits"))

    with pytest.raises(ApiRefused) as refusal:
        await client.apply(paths.training_job_status(namespace.name, "digits"), _status_of(old))
    assert refusal.value.status == 409
    assert phase(namespace.job("digits")) == "Pending"


async def test_a_spec_that_was_edited_meanwhile_is_not_admitted(client: KubeClient, namespace: Namespace) -> None:
    namespace.submit(training_job("digits"))
    seen = namespace.job("digits")
    namespace.kube.merge(f"{namespace.jobs_path}/digits", {"spec": {"replicas": 2}})

    with pytest.raises(ApiRefused) as refusal:
        await client.apply(paths.training_job_status(namespace.name, "digits"), _status_of(seen))
    assert refusal.value.status == 409


async def test_a_job_that_is_gone_does_not_come_back(client: KubeClient, namespace: Namespace) -> None:
    namespace.submit(training_job("digits"))
    old = namespace.job("digits")
    namespace.delete_job("digits")
    with pytest.raises(ApiRefused) as refusal:
        await client.apply(paths.training_job_status(namespace.name, "digits"), _status_of(old))
    assert refusal.value.status in {404, 409}
    assert namespace.kube.find(f"{namespace.jobs_path}/digits") is None
