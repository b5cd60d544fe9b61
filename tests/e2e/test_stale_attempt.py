"""A Job of an earlier attempt, made late by a leader that had slept, is removed before its pods run."""

from __future__ import annotations

import pytest

from ballast.act import manifests
from ballast.api.labels import ATTEMPT_LABEL
from ballast.api.trainingjob import TrainingJob
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators

NODE = "a100-0"
PODS = 2


@pytest.mark.parametrize("in_phase", ["Suspended", "Running", "Succeeded"])
def test_a_job_of_an_earlier_attempt_is_removed(
    in_phase: str, namespace: Namespace, operators: Operators, audit: AuditLog
) -> None:
    operators.shared()
    namespace.submit(training_job("gang").pods(PODS).gpus(2).torchrun().on_node(NODE).runs(seconds=600))
    namespace.wait_for_phase("gang", "Running")
    namespace.edit("gang", suspend=True)
    namespace.wait_for_phase("gang", "Suspended")
    namespace.wait(namespace.workloads_path, "gang-1", lambda jobs: not jobs, "its first Job is gone")
    if in_phase != "Suspended":
        seconds = "600" if in_phase == "Running" else "1"
        short = {"metadata": {"annotations": {"ballast.dev/simulated-seconds": seconds}}}
        namespace.edit("gang", suspend=False, template=short)
        namespace.wait_for_phase("gang", in_phase)
    job, pods = namespace.job("gang"), namespace.pods("gang")

    since = namespace.kube.version(namespace.pods_path)
    late = manifests.workload(TrainingJob.parse(job), 1)
    made = namespace.kube.create(namespace.workloads_path, late)
    version = made["metadata"]["resourceVersion"]
    namespace.last_version(namespace.workloads_path, "gang-1", version)
    left = namespace.wait_for_pods(lambda now: len(now) == len(pods), "the late Job's pods are gone")

    assert {pod["metadata"]["uid"] for pod in left} == {pod["metadata"]["uid"] for pod in pods}
    assert namespace.job("gang")["status"] == job["status"]
    for _, pod in namespace.history(namespace.pods_path, since):
        if pod["metadata"]["labels"][ATTEMPT_LABEL] == "1":
            assert "nodeName" not in pod["spec"], "a pod of the late Job was bound"
    assert_nothing_left(namespace, audit)
