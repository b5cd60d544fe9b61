"""From the API server's JSON to what the demo judges."""

from __future__ import annotations

from typing import Any

import pytest

from tests.cluster.gpu_nodes import GpuNode
from tests.demo import objects
from tests.demo.objects import Job, Node, Place, Pod


def test_a_waiting_job() -> None:
    status = {
        "phase": "Queued",
        "reason": "WaitingForCapacity",
        "queuedAt": "2026-01-02T03:04:05Z",
        "conditions": [{"type": "Admitted", "status": "False", "message": "needs 8 GPUs"}],
    }
    job = objects.job({"metadata": {"name": "gang"}, "status": status})
    assert (job.phase, job.reason, job.message, job.placing) == (
        "Queued",
        "WaitingForCapacity",
        "needs 8 GPUs",
        "",
    )
    assert job.queued_at is not None
    assert job.waited_seconds(job.queued_at + 7) == 7


def test_a_job_that_ended() -> None:
    status = {
        "phase": "Succeeded",
        "queuedAt": "2026-01-02T03:04:05Z",
        "startedAt": "2026-01-02T03:04:15Z",
        "finishedAt": "2026-01-02T03:04:35Z",
        "placement": [{"pod": "gang-1-0", "node": "a100-1", "gpuModel": "A100", "gpus": 8}],
        "energy": {"predictedWatts": 812.5},
        "conditions": [
            {"type": "Admitted", "status": "False", "message": "the job has ended"},
            {"type": "Complete", "status": "True", "message": "all is well"},
        ],
    }
    job = objects.job({"metadata": {"name": "gang"}, "status": status})
    assert job.places == (Place(node="a100-1", gpu_model="A100", gpus=8),)
    assert (job.nodes, job.gpu_model, job.gpus, job.predicted_watts) == ("a100-1", "A100", 8, 812.5)
    assert (job.waited_seconds(0), job.ran_seconds, job.message) == (10, 20, "all is well")


def test_a_job_that_no_operator_has_seen() -> None:
    assert objects.job({"metadata": {"name": "gang"}}) == Job(name="gang")


def _pod(state: dict[str, Any], phase: str) -> dict[str, Any]:
    trainer = {"name": "trainer", "resources": {"limits": {"nvidia.com/gpu": "4"}}}
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": "1970-01-01T00:00:10Z"}
    return {
        "metadata": {
            "name": "gang-1-1-abcde",
            "labels": {objects.JOB_LABEL: "gang", objects.INDEX_LABEL: "1"},
        },
        "spec": {"nodeName": "a100-1", "containers": [trainer, {"name": "other"}]},
        "status": {
            "phase": phase,
            "conditions": [scheduled],
            "containerStatuses": [{"name": "other", "state": {}}, {"name": "trainer", "state": state}],
        },
    }


def test_a_pod_that_ended() -> None:
    ended = {"startedAt": "1970-01-01T00:00:20Z", "finishedAt": "1970-01-01T00:00:30Z", "message": "bye"}
    assert objects.pod(_pod({"terminated": ended}, "Succeeded")) == Pod(
        name="gang-1-1-abcde",
        job="gang",
        index=1,
        node="a100-1",
        gpus=4,
        phase="Succeeded",
        scheduled_at=10.0,
        started_at=20.0,
        finished_at=30.0,
        last_words="bye",
    )


def test_a_pod_that_cannot_start_says_why() -> None:
    waiting = {"reason": "ImagePullBackOff", "message": "no such image"}
    pod = objects.pod(_pod({"waiting": waiting}, "Pending"))
    assert (pod.waiting, pod.started_at) == ("ImagePullBackOff: no such image", None)


def test_a_simulated_node() -> None:
    assert objects.node(GpuNode("a100-1").manifest()) == Node(
        name="a100-1", gpus=8, gpu_product="NVIDIA-A100-SXM4-80GB", simulated=True, ready=False
    )


@pytest.mark.parametrize(
    ("product", "model"),
    [
        ("NVIDIA-A100-SXM4-80GB", "A100"),
        ("Tesla-V100-SXM2-32GB", "V100"),
        ("NVIDIA-H100-80GB-HBM3", "H100"),
        ("something else", "something else"),
        ("", ""),
    ],
)
def test_a_products_gpu_model(product: str, model: str) -> None:
    assert Node(name="node", gpu_product=product).gpu_model == model


def test_the_accuracy_on_the_test_set_goes_before_that_on_the_validation_set() -> None:
    result = objects.training_result('{"val_accuracy": 0.99, "test_accuracy": 0.95, "processes": 2, "seconds": 3.5}')
    assert result == objects.TrainingResult(accuracy=0.95, processes=2, seconds=3.5)


def test_a_job_that_asks_for_a_power_limit() -> None:
    trainer = {"name": "trainer", "resources": {"limits": {"nvidia.com/gpu": 1}}}
    energy = {"operatingPoint": {"mode": "Fixed", "powerLimit": "150W"}}
    spec = {"energy": energy, "template": {"spec": {"containers": [trainer]}}}
    asked = objects.asked({"metadata": {"name": "limited"}, "spec": spec})
    assert (asked.power_limit_watts, asked.on_real_gpus) == (150.0, True)
