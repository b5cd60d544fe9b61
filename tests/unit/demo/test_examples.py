"""The manifests in workloads/examples/: what users learn from, and what the demo shows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from ballast.api.trainingjob import TrainingJob
from tests.demo.fleet import EXAMPLES, TRAINER_IMAGE, Workload, gpu_nodes, manifests, total_gpus, with_image

FILES = sorted(EXAMPLES.glob("*.yaml"))
JOBS = [manifest for file in FILES for manifest in manifests(file)]
each_job = pytest.mark.parametrize("manifest", JOBS, ids=lambda manifest: manifest["metadata"]["name"])


@each_job
def test_the_api_accepts_it(manifest: dict[str, Any]) -> None:
    assert TrainingJob.parse(manifest).metadata.name == manifest["metadata"]["name"]


@each_job
def test_its_pods_meet_the_restricted_pod_security_level(manifest: dict[str, Any]) -> None:
    pod = manifest["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in pod["containers"]:
        context = container["securityContext"]
        assert context["allowPrivilegeEscalation"] is False
        assert context["readOnlyRootFilesystem"] is True
        assert context["capabilities"] == {"drop": ["ALL"]}


@each_job
def test_it_can_write_where_it_must(manifest: dict[str, Any]) -> None:
    pod = manifest["spec"]["template"]["spec"]
    trainer = pod["containers"][0]
    mounts = {mount["mountPath"]: mount["name"] for mount in trainer["volumeMounts"]}
    checkpoints = next(each["value"] for each in trainer["env"] if each["name"] == "BALLAST_CHECKPOINT_DIR")
    assert {mounts["/tmp"], mounts[checkpoints]} <= {volume["name"] for volume in pod["volumes"]}  # noqa: S108


@each_job
def test_it_runs_the_projects_own_image_without_pulling_it_again(manifest: dict[str, Any]) -> None:
    trainer = manifest["spec"]["template"]["spec"]["containers"][0]
    assert (trainer["image"], trainer["imagePullPolicy"]) == (TRAINER_IMAGE, "IfNotPresent")


def test_names_are_unique() -> None:
    names = [manifest["metadata"]["name"] for manifest in JOBS]
    assert len(names) == len(set(names))


def test_twenty_jobs_of_one_to_sixteen_gpus_ask_for_more_than_there_is() -> None:
    asked = [job for job in Workload(real=True, simulated=True).asked if job.simulated]
    sizes = {job.replicas * job.gpus_per_pod for job in asked}
    assert len(asked) == 20
    assert (min(sizes), max(sizes)) == (1, 16)
    assert total_gpus(asked) > sum(node.gpus for node in gpu_nodes())


def test_only_the_jobs_that_can_run_are_applied() -> None:
    assert [job.name for job in Workload(real=True, simulated=False).asked] == ["digits-gang", "digits"]
    assert not any(job.name.startswith("digits") for job in Workload(real=False, simulated=True).asked)


def test_two_trainings_on_a_gpu_differ_in_their_operating_point_only() -> None:
    free, limited = manifests(EXAMPLES / "digits-on-a-gpu.yaml")
    asked = Workload(real=False, simulated=False, gpus=True).asked
    assert [(job.name, job.power_limit_watts) for job in asked] == [("digits-gpu", None), ("digits-gpu-150w", 150.0)]
    assert free["spec"].pop("energy") != limited["spec"].pop("energy")
    assert free["spec"] == limited["spec"]


def test_real_training_fits_two_cores_beside_the_operator_and_dns() -> None:
    requests = 0
    for manifest in JOBS:
        job = TrainingJob.parse(manifest)
        if not job.gpus or "nvidia.com/gpu" in str(manifest["spec"]["template"]["spec"].get("tolerations")):
            requests += job.spec.replicas * _millicores(manifest)
    assert requests <= 1500


def test_another_image_changes_nothing_else() -> None:
    original = JOBS[0]
    changed = with_image(original, "registry.example/trainer:1")
    assert changed["spec"]["template"]["spec"]["containers"][0]["image"] == "registry.example/trainer:1"
    assert with_image(changed, TRAINER_IMAGE) == original


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_it_opens_with_what_it_is(file: Path) -> None:
    text = file.read_text()
    assert text.startswith("# ")
    assert f"kubectl apply -f workloads/examples/{file.name}" in text
    assert list(yaml.safe_load_all(text))


def _millicores(manifest: dict[str, Any]) -> int:
    request = manifest["spec"]["template"]["spec"]["containers"][0]["resources"]["requests"]["cpu"]
    return int(str(request).removesuffix("m"))
