"""Pods, Jobs and nodes as they are read from the API server's JSON."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.decide.gpu_models import A100
from ballast.observe.parsing import node_gpu_model, node_is_ready, node_taints, training_job_uid, training_pod, workload
from tests.builders import PodBuilder, job, node, pod

GANG = job("gang").replicas(2).placed_on("a", "b")


@pytest.mark.parametrize(
    "builder",
    [
        pod(1, of=GANG).gated(),
        pod(0, of=GANG).gated("example.com/licence").requiring({"podAffinity": {}}),
        pod(0, of=GANG).running_on("a"),
        pod(0, of=GANG).on("a").failed(3, "no such file"),
        pod(1, of=GANG).on("a").succeeded(),
        pod(0, of=GANG).gated().being_deleted(),
        pod(0, of=GANG).of_attempt(2),
    ],
    ids=str,
)
def test_a_training_pod(builder: PodBuilder) -> None:
    assert training_pod(builder.manifest()) == builder.build()


def test_affinity_is_kept_only_while_it_can_still_be_changed() -> None:
    bound = pod(0, of=GANG).running_on("a").requiring({"nodeAffinity": {}})
    assert training_pod(bound.manifest()).affinity is None


def ended(message: str) -> str:
    return training_pod(pod(0, of=GANG).on("a").failed(1, message).manifest()).message


def test_last_words_are_one_short_line() -> None:
    assert ended("Traceback\n  File x\n\nValueError: no") == "Traceback File x ValueError: no"
    assert ended("x" * 1000) == "x" * 200


def test_a_result_in_json_is_no_explanation() -> None:
    assert ended('{"accuracy": 0.9}') == ""


@pytest.mark.parametrize("odd", ["[1, 2]", "null", "42", '"just text"'])
def test_other_json_is_text(odd: str) -> None:
    assert ended(odd) == odd


def test_only_the_trainer_tells() -> None:
    manifest = pod(0, of=GANG).on("a").failed(1, "mine").manifest()
    other = {"name": "exporter", "state": {"terminated": {"exitCode": 9, "message": "not mine"}}}
    manifest["status"]["containerStatuses"].insert(0, other)
    read = training_pod(manifest)
    assert (read.exit_code, read.message) == (1, "mine")


def test_a_pod_that_was_evicted_tells_why() -> None:
    manifest = pod(0, of=GANG).on("a").manifest()
    manifest["status"] = {"phase": "Failed", "reason": "Evicted", "message": "low on memory"}
    read = training_pod(manifest)
    assert (read.exit_code, read.message) == (None, "low on memory")


def test_a_job_and_how_it_ended() -> None:
    running = workload(GANG.job_manifest())
    assert (running.name, running.attempt, running.complete, running.failed) == ("gang-1", 1, False, False)
    assert workload(GANG.job_manifest(Complete="")).complete
    failed = workload(GANG.job_manifest(Failed="backoff limit"))
    assert (failed.failed, failed.message) == (True, "backoff limit")


def test_a_condition_that_does_not_hold_is_no_end() -> None:
    manifest = GANG.job_manifest(Failed="", Complete="")
    for condition in manifest["status"]["conditions"]:
        condition["status"] = "False"
    read = workload(manifest)
    assert not read.failed
    assert not read.complete


@pytest.mark.parametrize(
    "labels",
    [
        None,
        {"app": "web"},
        {"ballast.dev/trainingjob-uid": "uid-of-gang"},
        {"ballast.dev/trainingjob-uid": "uid-of-gang", "ballast.dev/attempt": "first"},
        {
            "ballast.dev/trainingjob-uid": "uid-of-gang",
            "ballast.dev/attempt": "1",
            "batch.kubernetes.io/job-completion-index": "last",
        },
    ],
    ids=str,
)
def test_labels_that_ballast_did_not_write_are_somebody_elses(labels: dict[str, str] | None) -> None:
    child: dict[str, Any] = {"metadata": {"labels": labels}}
    assert training_job_uid(child) is None


def test_labels_that_ballast_wrote() -> None:
    assert training_job_uid(pod(1, of=GANG).manifest()) == "uid-of-gang"
    assert training_job_uid(GANG.job_manifest()) == "uid-of-gang"


def test_a_node() -> None:
    manifest = node("a").with_gpus("A100", 8).tainted("team", "vision", "NoExecute").manifest()
    assert node_gpu_model(manifest) is A100
    assert node_is_ready(manifest)
    assert node_taints(manifest) == node("a").tainted("team", "vision", "NoExecute").build().taints
    assert not node_is_ready(node("a").not_ready().manifest())


def test_a_gpu_label_without_gpus_is_no_gpu_model() -> None:
    # The device plugin has not registered yet, or every GPU is unhealthy.
    assert node_gpu_model(node("a").with_gpus("A100", 0).manifest()) is None


def test_gpus_without_a_label_are_an_unlisted_model() -> None:
    manifest = node("a").with_gpus("A100", 8).manifest()
    manifest["metadata"]["labels"] = {}
    model = node_gpu_model(manifest)
    assert model is not None
    assert model.name == "unlabelled"


def test_a_node_that_has_said_nothing_yet() -> None:
    bare: dict[str, Any] = {"metadata": {"name": "a"}}
    assert not node_is_ready(bare)
    assert node_gpu_model(bare) is None
    assert node_taints(bare) == ()
