"""The operator dies by SIGKILL before and after each write by which an attempt ends and another one follows.

Meanwhile a gang is suspended, edited and resumed, one job fails, is tried again, fails for good and expires, one runs
for too long, and one is rolled back because its node is cordoned, and then deleted. The audit log and the objects'
histories prove what was done; nothing of the operator's own memory is asked.
"""

from __future__ import annotations

import re
from collections import Counter

import pytest

from ballast.api.labels import ATTEMPT_LABEL, JOB_LABEL
from tests.cluster import Cluster
from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog, Request, writes_of_operator
from tests.e2e.evidence import History, steps
from tests.e2e.manifests import training_job
from tests.e2e.namespace import ENDED, Namespace, nodes_of
from tests.e2e.operators import Operators
from tests.e2e.restarts import Mortals, around

NODE, CORDONED, SPARE = "v100-0", "a40-0", "a40-1"
SETTINGS = {"BALLAST_RETRY_SECONDS": "1"}

WRITES = (
    "status.Stop",
    "status.Stop#2",
    "stop",
    "stop#3",
    "status.Suspend",
    "status.Queue",
    "status.Requeue",
    "status.Requeue#2",
    "status.Fail",
    "expire",
)
LIVES = {
    "a-paused": "Pending Placing Running Suspending Suspended Queued Placing( Running)? Succeeded",
    "b-rolled-back": "Pending Placing Suspending Queued Placing",
    "c-fails": "Pending Placing( Running)? Queued Placing( Running)? Failed",
    "d-late": "Pending Placing Running Suspending Failed",
}
ATTEMPTS = 2


@pytest.mark.slow
@pytest.mark.parametrize("write", WRITES)
def test_every_attempt_is_ended_exactly_once(
    write: str, namespace: Namespace, operators: Operators, audit: AuditLog, cluster: Cluster
) -> None:
    operators.stop()
    namespace.submit(
        training_job("a-paused").pods(2).gpus(2).torchrun().on_node(NODE).runs(seconds=600),
        training_job("b-rolled-back").gpus(1).selects({"nvidia.com/gpu.product": "NVIDIA-A40"}).held(),
        training_job("c-fails").gpus(1).on_node(NODE).exits(3).spec(retryLimit=1, ttlSecondsAfterFinished=1),
        training_job("d-late").gpus(1).on_node(NODE).runs(seconds=600).spec(activeDeadlineSeconds=1),
    )
    with Mortals(operators, *around(write), settings=SETTINGS) as mortals:
        _pause_edit_and_resume(namespace, "a-paused")
        _roll_back_and_delete(namespace, cluster, "b-rolled-back")
        namespace.wait(namespace.jobs_path, "c-fails", lambda jobs: not jobs, "c-fails has expired")
        namespace.wait_for_phase("a-paused", "Succeeded")
        namespace.wait_for_phase("d-late", "Failed")
        mortals.survivor()
        assert_nothing_left(namespace, audit)

        jobs = namespace.history(namespace.jobs_path, namespace.since)
        pods = namespace.history(namespace.pods_path, namespace.since)
        writes = writes_of_operator(audit.about(namespace.name), namespace.name)
        for name, life in LIVES.items():
            assert re.fullmatch(life, " ".join(steps(jobs)[name])), f"{name}: {steps(jobs)[name]}"
        _each_attempt_ended_once(jobs)
        _each_object_was_deleted_once(writes)
        assert_one_attempt_at_a_time(pods)


def _pause_edit_and_resume(namespace: Namespace, name: str) -> None:
    namespace.wait_for_phase(name, "Running")
    namespace.edit(name, suspend=True)
    namespace.wait_for_phase(name, "Suspended")
    short = {"metadata": {"annotations": {"ballast.dev/simulated-seconds": "1"}}}
    namespace.edit(name, suspend=False, template=short)


def _roll_back_and_delete(namespace: Namespace, cluster: Cluster, name: str) -> None:
    job = namespace.wait_for_phase(name, "Placing")
    [node] = nodes_of(job)
    cluster.kubectl("cordon", node)
    try:
        namespace.wait_for_job(name, lambda job: len(job["status"]["attempts"]) == ATTEMPTS, "it is tried elsewhere")
    finally:
        cluster.kubectl("uncordon", node)
    job = namespace.wait_for_phase(name, "Placing")
    assert nodes_of(job) != [node]
    namespace.delete_job(name)


def _each_attempt_ended_once(jobs: History) -> None:
    """Check that what was once written of an attempt's end stays, and that nothing is counted twice."""
    last = {job["metadata"]["name"]: job["status"] for _, job in jobs if job["metadata"]["name"] in LIVES}
    outcomes = {name: [each.get("outcome") for each in status["attempts"]] for name, status in last.items()}
    assert outcomes == {
        "a-paused": ["Suspended", "Succeeded"],
        "b-rolled-back": ["RolledBack", None],
        "c-fails": ["Failed", "Failed"],
        "d-late": ["DeadlineExceeded"],
    }
    assert {name: status.get("failures", 0) for name, status in last.items()} == {
        "a-paused": 0,
        "b-rolled-back": 0,
        "c-fails": 2,
        "d-late": 0,
    }


def _each_object_was_deleted_once(writes: list[Request]) -> None:
    deletions = [write for write in writes if write.verb == "delete"]
    deleted = Counter((write.resource, write.name) for write in deletions if write.succeeded)
    assert max(deleted.values()) == 1, deleted
    # One that a SIGKILL cut off was done all the same where no other followed.
    asked = {(write.resource, write.name) for write in deletions}
    assert {("jobs", f"{name}-1") for name in LIVES} | {("trainingjobs", "c-fails")} <= asked
    assert not {("jobs", "a-paused-2"), ("trainingjobs", "a-paused"), ("trainingjobs", "b-rolled-back")} & set(deleted)


def assert_one_attempt_at_a_time(pods: History) -> None:
    """Check that at no moment two attempts of a job had pods on nodes that had not ended."""
    alive: dict[str, tuple[str, str]] = {}
    for kind, pod in pods:
        labels, uid = pod["metadata"]["labels"], pod["metadata"]["uid"]
        if kind == "DELETED" or pod.get("status", {}).get("phase") in ENDED or "nodeName" not in pod["spec"]:
            alive.pop(uid, None)
        else:
            alive[uid] = labels[JOB_LABEL], labels[ATTEMPT_LABEL]
        attempts = Counter(job for job, _ in set(alive.values()))
        assert max(attempts.values(), default=0) <= 1, f"two attempts at once: {sorted(set(alive.values()))}"
