"""Simulated nodes and pods behave as the real ones would, as far as a scheduler and a Job can see."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cluster import Cluster, GpuNode
from tests.cluster.api_client import wait_until
from tests.integration.cluster.conftest import throwaway_cluster

pytestmark = pytest.mark.cluster

FINALIZER = "ballast.dev/final-reading"


@pytest.fixture(scope="module")
def simulated() -> Iterator[Cluster]:
    cluster = throwaway_cluster("sim")
    cluster.up(real_nodes=0)
    cluster.add_gpu_nodes([GpuNode("a100-0", gpus=8, region="north", rack="r1"), GpuNode("cpu-0", gpus=0)])
    yield cluster
    cluster.down()


def job(name: str, *, gpus: int = 1, finalizers: tuple[str, ...] = (), **annotations: str) -> dict[str, Any]:
    metadata = {
        "annotations": {f"ballast.dev/{key.replace('_', '-')}": value for key, value in annotations.items()},
        "finalizers": list(finalizers),
    }
    pod = {
        "restartPolicy": "Never",
        "tolerations": [{"key": "kwok.x-k8s.io/node", "operator": "Exists"}],
        "initContainers": [{"name": "exporter", "image": "none", "restartPolicy": "Always"}],
        "containers": [{"name": "trainer", "image": "none", "resources": {"limits": {"nvidia.com/gpu": str(gpus)}}}],
    }
    spec = {"backoffLimit": 0, "podReplacementPolicy": "Failed", "template": {"metadata": metadata, "spec": pod}}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": name}, "spec": spec}


def run_job(cluster: Cluster, manifest: dict[str, Any], *, until: str) -> dict[str, Any]:
    """Applies a job, waits until its only pod is in a phase, and returns the pod."""
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    name = manifest["metadata"]["name"]
    wait_until(lambda: phase(cluster, name) == until, f"pod of {name} {until}", timeout_seconds=60)
    return pod_of(cluster, name)


def pod_of(cluster: Cluster, name: str) -> dict[str, Any]:
    pods: list[dict[str, Any]] = json.loads(cluster.kubectl("get", "pods", "-l", f"job-name={name}", "-o", "json"))[
        "items"
    ]
    return pods[0] if pods else {}


def phase(cluster: Cluster, name: str) -> str:
    pod = pod_of(cluster, name)
    return str(pod["status"]["phase"]) if pod else ""


def exit_codes(pod: dict[str, Any]) -> dict[str, int]:
    status = pod["status"]
    return {
        one["name"]: one["state"]["terminated"]["exitCode"]
        for one in [*status["initContainerStatuses"], *status["containerStatuses"]]
    }


def test_a_simulated_node_offers_its_gpus(simulated: Cluster) -> None:
    node = json.loads(simulated.kubectl("get", "node", "a100-0", "-o", "json"))
    assert node["status"]["allocatable"]["nvidia.com/gpu"] == "8"
    assert node["metadata"]["labels"]["nvidia.com/gpu.product"] == "NVIDIA-A100-SXM4-80GB"
    assert node["metadata"]["labels"]["topology.kubernetes.io/region"] == "north"


def test_a_job_succeeds_after_its_time(simulated: Cluster) -> None:
    pod = run_job(simulated, job("ok", simulated_seconds="1"), until="Succeeded")
    assert pod["spec"]["nodeName"] == "a100-0"
    assert exit_codes(pod) == {"exporter": 0, "trainer": 0}


def test_a_job_fails_with_its_exit_code(simulated: Cluster) -> None:
    pod = run_job(simulated, job("bad", simulated_seconds="1", simulated_exit_code="7"), until="Failed")
    assert exit_codes(pod)["trainer"] == 7


def test_a_pod_that_cannot_start_waits_with_its_reason(simulated: Cluster) -> None:
    manifest = job("stuck", simulated_waiting_reason="ImagePullBackOff", simulated_waiting_message="no such image")
    simulated.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    wait_until(
        lambda: "containerStatuses" in pod_of(simulated, "stuck").get("status", {}), "its state", timeout_seconds=30
    )
    status = pod_of(simulated, "stuck")["status"]
    assert status["phase"] == "Pending"
    [trainer] = status["containerStatuses"]
    assert trainer["state"] == {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
    simulated.kubectl("delete", "job", "stuck", "--wait=false")
    wait_until(lambda: not pod_of(simulated, "stuck"), "end of the pod", timeout_seconds=30)


def test_changing_a_pod_does_not_start_its_clock_again(simulated: Cluster) -> None:
    pod = run_job(simulated, job("touched", simulated_seconds="4"), until="Running")
    name = pod["metadata"]["name"]
    touches = 0

    def touch() -> bool:
        nonlocal touches
        touches += 1
        simulated.kubectl("annotate", "pod", name, f"touch={touches}", "--overwrite")
        return phase(simulated, "touched") == "Succeeded"

    # Each touch comes well before the four seconds are over: a clock that starts again would never end.
    wait_until(touch, "the end of a pod that is changed all the time", timeout_seconds=30)
    assert touches > 1


def test_a_deleted_pod_ends_as_failed_and_waits_for_its_finalizer(simulated: Cluster) -> None:
    pod = run_job(simulated, job("held", simulated_seconds="600", finalizers=(FINALIZER,)), until="Running")
    name = pod["metadata"]["name"]
    simulated.kubectl("delete", "pod", name, "--wait=false")
    wait_until(lambda: phase(simulated, "held") == "Failed", "end of the deleted pod", timeout_seconds=30)
    held = json.loads(simulated.kubectl("get", "pod", name, "-o", "json"))
    assert exit_codes(held)["trainer"] == 143
    simulated.kubectl("patch", "pod", name, "--type=merge", "--patch", '{"metadata": {"finalizers": null}}')
    wait_until(
        lambda: name not in simulated.kubectl("get", "pods", "-o", "name"), "removal of the pod", timeout_seconds=30
    )


def test_suspending_a_job_ends_its_pod(simulated: Cluster) -> None:
    run_job(simulated, job("paused", simulated_seconds="600"), until="Running")
    simulated.kubectl("patch", "job", "paused", "--type=merge", "--patch", '{"spec": {"suspend": true}}')
    wait_until(lambda: not pod_of(simulated, "paused"), "end of the suspended job's pod", timeout_seconds=30)


def test_the_audit_log_holds_the_body_of_a_pods_patch(simulated: Cluster) -> None:
    pod = run_job(simulated, job("audited", simulated_seconds="600"), until="Running")
    name = pod["metadata"]["name"]
    simulated.kubectl("annotate", "pod", name, "seen=yes")

    def patches() -> list[dict[str, Any]]:
        events = (json.loads(line) for line in simulated.audit_log.read_text().splitlines())
        return [
            event
            for event in events
            if event["verb"] == "patch"
            and event["objectRef"].get("name") == name
            and "subresource" not in event["objectRef"]
        ]

    wait_until(lambda: bool(patches()), "the patch in the audit log", timeout_seconds=30)
    event = patches()[-1]
    assert event["requestObject"]["metadata"]["annotations"] == {"seen": "yes"}
    assert event["responseStatus"]["code"] == 200
    assert event["user"]["username"] == "kwok-admin"
