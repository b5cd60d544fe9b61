"""What the other tests check at their end would be noticed."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.aftermath import admissions, creations, gpus_of_pod, most_gpus_held, nodes_promised
from tests.e2e.audit import OPERATOR_AGENT, OPERATOR_USER, Request
from tests.e2e.evidence import History, first_version
from tests.e2e.kube import JsonObject


def _job(version: int, name: str, phase: str, attempt: int = 1) -> tuple[str, JsonObject]:
    placement = [{"node": "n", "gpus": 8}]
    status = {"phase": phase, "placement": placement, "attempts": [{"number": attempt}]}
    metadata = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": str(version)}
    return "MODIFIED", {"kind": "TrainingJob", "metadata": metadata, "status": status}


def _pod(
    version: int, job: str, phase: str, change: str = "MODIFIED", attempt: int = 1, node: str | None = "n"
) -> tuple[str, JsonObject]:
    labels = {
        "ballast.dev/trainingjob-uid": f"uid-of-{job}",
        "ballast.dev/attempt": str(attempt),
        "batch.kubernetes.io/job-completion-index": "0",
    }
    name = f"{job}-{attempt}-0"
    metadata = {"name": name, "uid": f"uid-of-{name}", "resourceVersion": str(version), "labels": labels}
    containers = [{"resources": {"limits": {"nvidia.com/gpu": "8"}}}, {"resources": {}}]
    spec: JsonObject = {"containers": containers} if node is None else {"containers": containers, "nodeName": node}
    return change, {"kind": "Pod", "metadata": metadata, "spec": spec, "status": {"phase": phase}}


def _write(**fields: Any) -> Request:
    known = {"user": OPERATOR_USER, "agent": OPERATOR_AGENT, "verb": "patch", "namespace": "ns", "message": ""}
    return Request(**{**known, **fields})


def test_a_pod_that_ends_slowly_still_holds_what_is_promised_to_the_next() -> None:
    slow = [_pod(2, "a", "Running"), _pod(6, "a", "Failed")]
    jobs: History = [_job(1, "a", "Placing"), _job(3, "a", "Suspended"), _job(4, "b", "Placing")]
    assert most_gpus_held(jobs, slow)["n"] == 16


@pytest.mark.parametrize("end", [("Failed", "MODIFIED"), ("Running", "DELETED")])
def test_one_that_has_ended_holds_nothing(end: tuple[str, str]) -> None:
    pods: History = [_pod(2, "a", "Running"), _pod(3, "a", *end), _pod(6, "b", "Running")]
    jobs: History = [_job(1, "a", "Placing"), _job(4, "a", "Queued"), _job(5, "b", "Placing")]
    assert most_gpus_held(jobs, pods)["n"] == 8


def test_two_reservations_are_seen_before_there_are_pods() -> None:
    assert most_gpus_held([_job(1, "a", "Placing"), _job(2, "b", "Placing")], [])["n"] == 16


def test_a_pod_of_an_earlier_attempt_is_not_the_one_that_is_promised_now() -> None:
    pods: History = [_pod(2, "a", "Running")]
    jobs: History = [_job(1, "a", "Placing"), _job(3, "a", "Queued"), _job(4, "a", "Placing", attempt=2)]
    assert most_gpus_held(jobs, pods)["n"] == 16


def test_a_gated_pod_is_its_reservation() -> None:
    jobs, pods = [_job(1, "a", "Placing")], [_pod(2, "a", "Pending", node=None), _pod(3, "a", "Pending")]
    assert most_gpus_held(jobs, pods)["n"] == 8


def test_where_something_was_promised() -> None:
    assert nodes_promised([_job(1, "a", "Placing"), ("ADDED", {"metadata": {}})]) == {"n"}


def test_an_attempt_that_is_admitted_twice_is_seen() -> None:
    status = {"phase": "Placing", "attempts": [{"number": 1}]}
    admit = _write(
        resource="trainingjobs/status", name="a", code=200, body={"metadata": {"uid": "u"}, "status": status}
    )
    refused = _write(resource="trainingjobs/status", name="a", code=409, body=admit.body)
    assert admissions([admit, refused, admit]) == {("u", 1): 2}


def test_a_job_that_is_created_twice_is_seen() -> None:
    body = {"metadata": {"ownerReferences": [{"uid": "u"}]}}
    create = _write(resource="jobs", name="a-1", code=201, body=body)
    again = _write(resource="jobs", name="a-1", code=200, body=body)
    assert creations([create, again, create]) == {("u", "a-1"): 2}


def test_gpus_of_all_containers_count() -> None:
    assert gpus_of_pod(_pod(1, "a", "Running")[1]) == 8


def test_what_never_held_has_no_version() -> None:
    history: History = [_job(1, "a", "Queued"), _job(2, "a", "Placing")]
    assert first_version(history, "a", lambda _, job: job["status"]["phase"] == "Placing") == 2
    with pytest.raises(AssertionError, match="it never held of a"):
        first_version(history, "a", lambda _, job: job["status"]["phase"] == "Running")
