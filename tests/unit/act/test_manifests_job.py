"""What is created for an attempt: an Indexed Job of gated pods that belongs to its TrainingJob."""

from __future__ import annotations

import copy
from typing import Any

from ballast.act.manifests import workload
from tests.builders import JobBuilder, job


def created(asking: JobBuilder, attempt: int = 1) -> dict[str, Any]:
    return workload(asking.training_job(), attempt)


def pod_spec(asking: JobBuilder) -> dict[str, Any]:
    spec: dict[str, Any] = created(asking)["spec"]["template"]["spec"]
    return spec


def test_its_name_follows_from_job_and_attempt() -> None:
    assert created(job("train"), 3)["metadata"]["name"] == "train-3"
    assert created(job("train").in_namespace("vision"))["metadata"]["namespace"] == "vision"


def test_the_whole_gang_runs_side_by_side() -> None:
    spec = created(job("train").replicas(3))["spec"]
    assert (spec["completionMode"], spec["completions"], spec["parallelism"]) == ("Indexed", 3, 3)
    assert (spec["backoffLimit"], spec["podReplacementPolicy"]) == (0, "Failed")


def test_it_goes_with_its_training_job() -> None:
    [owner] = created(job("train"))["metadata"]["ownerReferences"]
    assert owner == {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "TrainingJob",
        "name": "train",
        "uid": "uid-of-train",
        "controller": True,
        "blockOwnerDeletion": True,
    }


def test_job_and_pods_carry_the_labels_by_which_they_are_found() -> None:
    expected = {
        "ballast.dev/trainingjob": "train",
        "ballast.dev/trainingjob-uid": "uid-of-train",
        "ballast.dev/attempt": "2",
    }
    manifest = created(job("train"), 2)
    assert manifest["metadata"]["labels"] == expected
    assert manifest["spec"]["template"]["metadata"]["labels"] == expected


def test_the_users_labels_stay_but_never_in_place_of_ours() -> None:
    asking = job("train").with_pod_labels(team="vision", **{"ballast.dev/trainingjob-uid": "another"})
    labels = created(asking)["spec"]["template"]["metadata"]["labels"]
    assert labels["team"] == "vision"
    assert labels["ballast.dev/trainingjob-uid"] == "uid-of-train"


def test_pods_wait_behind_ballasts_gate() -> None:
    assert pod_spec(job("train"))["schedulingGates"] == [{"name": "ballast.dev/placement"}]


def test_and_behind_the_users_own() -> None:
    asking = job("train").with_pod_spec(schedulingGates=[{"name": "example.com/licence"}])
    gates = [gate["name"] for gate in pod_spec(asking)["schedulingGates"]]
    assert gates == ["example.com/licence", "ballast.dev/placement"]


def test_pods_are_not_restarted_and_have_time_to_save() -> None:
    asking = job("train")
    spec = pod_spec(JobBuilder(asking.name, spec={"checkpointGraceSeconds": 77}))
    assert (spec["restartPolicy"], spec["terminationGracePeriodSeconds"]) == ("Never", 77)


def test_whatever_else_the_template_says_passes_through() -> None:
    extra = {"priorityClassName": "low", "volumes": [{"name": "data"}], "securityContext": {"runAsUser": 7}}
    spec = pod_spec(job("train").with_pod_spec(**extra))
    assert {name: spec[name] for name in extra} == extra


def test_the_training_job_itself_is_not_changed() -> None:
    asking = job("train").launched_by("torchrun").with_env(A="1").with_pod_labels(team="x").training_job()
    before = copy.deepcopy(asking.spec.template)
    workload(asking, 1)
    assert asking.spec.template == before


def test_applying_it_again_is_applying_the_same() -> None:
    assert created(job("train").launched_by("torchrun")) == created(job("train").launched_by("torchrun"))
