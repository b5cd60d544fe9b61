"""What is applied for an attempt: as often as one likes, with one Job as the result, whose pods can be ungated once."""

from __future__ import annotations

import pytest

from ballast.act import manifests, paths
from ballast.api.trainingjob import TrainingJob
from ballast.kube import ApiRefused, JsonObject, KubeClient
from tests.e2e.manifests import term, training_job
from tests.e2e.namespace import Namespace

NODE = "a40-0"


@pytest.fixture
async def pod(client: KubeClient, namespace: Namespace) -> JsonObject:
    """A gated pod of an attempt, whose template requires one of two labels of its node."""
    job = training_job("digits").requires(term("type", "kwok"), term("type", "real")).runs(seconds=600)
    namespace.submit(job)
    await _create(client, namespace, TrainingJob.parse(namespace.job("digits")))
    [pod] = namespace.wait_for_pods(lambda pods: len(pods) == 1, "the attempt has its pod")
    return pod


async def _create(client: KubeClient, namespace: Namespace, job: TrainingJob) -> JsonObject:
    return await client.apply(paths.job(namespace.name, f"{job.metadata.name}-1"), manifests.workload(job, 1))


async def _ungate(client: KubeClient, pod: JsonObject, uid: str | None = None) -> JsonObject:
    metadata = pod["metadata"]
    patch = manifests.ungate_patch(uid or metadata["uid"], 0, pod["spec"].get("affinity"), NODE)
    return await client.json_patch(paths.pod(metadata["namespace"], metadata["name"]), patch)


async def test_applying_again_changes_nothing(client: KubeClient, namespace: Namespace) -> None:
    namespace.submit(training_job("digits").pods(2).torchrun())
    job = TrainingJob.parse(namespace.job("digits"))
    first = await _create(client, namespace, job)
    second = await _create(client, namespace, job)
    assert second["metadata"]["uid"] == first["metadata"]["uid"]
    assert second["metadata"]["generation"] == first["metadata"]["generation"] == 1


async def test_a_gated_pod_waits(namespace: Namespace, pod: JsonObject) -> None:
    def is_gated(pods: list[JsonObject]) -> bool:
        found = pods[0].get("status", {}).get("conditions", [])
        return any(c["type"] == "PodScheduled" and c["reason"] == "SchedulingGated" for c in found)

    namespace.wait_for_pods(is_gated, "the pod waits behind its gate")


async def test_ungating_binds_the_pod_where_it_should(
    client: KubeClient, namespace: Namespace, pod: JsonObject
) -> None:
    await _ungate(client, pod)
    [bound] = namespace.wait_for_pods(lambda pods: "nodeName" in pods[0]["spec"], "the pod is bound")
    assert bound["spec"]["nodeName"] == NODE


async def test_ungating_twice_is_refused(client: KubeClient, pod: JsonObject) -> None:
    await _ungate(client, pod)
    with pytest.raises(ApiRefused) as refusal:
        await _ungate(client, pod)
    assert refusal.value.status == 422


async def test_ungating_another_pod_of_that_name_is_refused(client: KubeClient, pod: JsonObject) -> None:
    with pytest.raises(ApiRefused) as refusal:
        await _ungate(client, pod, uid="00000000-0000-0000-0000-000000000000")
    assert refusal.value.status == 422
