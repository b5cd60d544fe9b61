"""The evidence that other tests rest on would tell if something were wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.e2e.audit import OPERATOR_AGENT, OPERATOR_USER, Request, assert_once
from tests.e2e.evidence import History, most_gpus_promised, steps
from tests.e2e.kube import JsonObject


def _job(version: int, name: str, phase: str, gpus: int = 8) -> tuple[str, JsonObject]:
    status = {"phase": phase, "placement": [{"node": "n", "gpus": gpus}]}
    metadata = {"name": name, "resourceVersion": str(version)}
    return "MODIFIED", {"kind": "TrainingJob", "metadata": metadata, "status": status}


def _ended_pod(version: int, job: str) -> tuple[str, JsonObject]:
    labels = {"ballast.dev/trainingjob": job, "batch.kubernetes.io/job-completion-index": "0"}
    metadata = {"name": f"{job}-1-0-abcde", "resourceVersion": str(version), "labels": labels}
    return "MODIFIED", {"kind": "Pod", "metadata": metadata, "status": {"phase": "Succeeded"}}


def _write(code: int, **fields: Any) -> Request:
    known = {"user": OPERATOR_USER, "agent": OPERATOR_AGENT, "verb": "patch", "resource": "pods", "namespace": "ns"}
    return Request(**{**known, "name": "pod", "code": code, "message": "", "body": None, **fields})


def test_two_promises_of_the_same_gpus_are_seen() -> None:
    jobs: History = [_job(1, "a", "Placing"), _job(2, "b", "Placing"), _job(3, "a", "Succeeded")]
    assert most_gpus_promised(jobs, [])["n"] == 16


def test_a_promise_after_the_pod_has_ended_is_not_a_second_one() -> None:
    jobs: History = [_job(1, "a", "Running"), _job(3, "b", "Placing")]
    assert most_gpus_promised(jobs, [_ended_pod(2, "a")])["n"] == 8


def test_a_status_that_is_written_twice_is_seen() -> None:
    assert steps([_job(1, "a", "Placing"), _job(2, "a", "Placing")]) == {"a": ["Placing", "Placing"]}


def test_neither_an_edit_nor_a_new_place_in_the_queue_is_a_step() -> None:
    jobs: History = [_job(1, "a", "Queued"), _job(2, "a", "Queued"), _job(3, "a", "Queued"), _job(4, "a", "Queued")]
    jobs[1][1]["status"]["queue"] = jobs[2][1]["status"]["queue"] = jobs[3][1]["status"]["queue"] = {"position": 2}
    jobs[2][1]["metadata"]["generation"] = jobs[3][1]["metadata"]["generation"] = 2
    jobs[3][1]["status"]["reason"] = "ClusterTooSmall"
    assert steps(jobs) == {"a": ["Queued", "Queued"]}


@pytest.mark.parametrize("codes", [[200, 200], [], [500, 200, 200]])
def test_not_exactly_one_write_is_seen(codes: list[int]) -> None:
    with pytest.raises(AssertionError, match=r"pods pod: written \d times"):
        assert_once([_write(code) for code in codes], "pods", ["pod"])


@pytest.mark.parametrize("codes", [[200], [504], [504, 200]])
def test_one_write_or_one_that_was_cut_off_is_once(codes: list[int]) -> None:
    assert_once([_write(code) for code in codes], "pods", ["pod"])


def test_an_unexpected_write_is_seen() -> None:
    with pytest.raises(AssertionError, match="stranger was written, unexpectedly"):
        assert_once([_write(200), _write(200, name="stranger")], "pods", ["pod"])
