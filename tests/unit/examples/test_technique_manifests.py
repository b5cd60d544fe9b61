"""Each technique has a manifest that can be trusted: what it asks for exists, fits together, and may run anywhere."""

from __future__ import annotations

import re

import pytest

from frugal import cli, registry
from frugal.composition import Composition
from tests.e2e.real import TRAINER_IMAGE
from tests.technique_examples import TechniqueExample, technique_examples

EXAMPLES = technique_examples()
each = pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)

MENTIONED = re.compile(r"--with (\S+)")
LARGEST_MILLICORES = 200
NEED_A_GPU = {"fp8"}


def test_every_technique_has_one() -> None:
    assert set(registry.available()) <= {example.name for example in EXAMPLES}


@pytest.mark.parametrize("technique", registry.available())
def test_a_techniques_manifest_trains_with_it(technique: str) -> None:
    [example] = [example for example in EXAMPLES if example.name == technique]
    assert technique in {spec.partition(",")[0] for stack in example.stacks for spec in stack}


@each
def test_its_command_line_is_understood(example: TechniqueExample) -> None:
    program, *arguments = example.command
    assert program == "frugal"
    parsed = cli.build_parser()[0].parse_args(arguments)
    assert parsed.data == "digits"


@each
def test_its_techniques_exist_and_fit_together(example: TechniqueExample) -> None:
    assert example.stacks or example.command[1] == "search"
    for stack in example.stacks:
        assert len(Composition([registry.create(spec) for spec in stack])) == len(stack) > 0


@each
def test_what_its_comment_suggests_exists(example: TechniqueExample) -> None:
    for spec in MENTIONED.findall(example.comment):
        assert registry.create(spec).name == spec.partition(",")[0]


@each
def test_its_comment_says_how_to_run_it_and_what_to_look_at(example: TechniqueExample) -> None:
    file = f"workloads/examples/techniques/{example.file.name}"
    assert f"kubectl apply -f {file}" in example.comment
    assert re.search(rf"kubectl logs (--tail=-1 )?-l ballast.dev/trainingjob={example.name}\b", example.comment)
    assert "Look at `" in example.comment
    assert re.search(r"\bsave[sd]\b", example.comment, re.IGNORECASE)


@each
def test_its_job_has_the_files_name(example: TechniqueExample) -> None:
    assert example.manifest["metadata"]["name"] == example.name


@each
def test_its_pods_meet_the_restricted_pod_security_level(example: TechniqueExample) -> None:
    pod = example.pod
    assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    assert pod["automountServiceAccountToken"] is False
    [trainer] = pod["containers"]
    assert trainer["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


@each
def test_it_can_write_where_it_must_and_not_without_bound(example: TechniqueExample) -> None:
    [trainer] = example.pod["containers"]
    mounts = {mount["mountPath"]: mount["name"] for mount in trainer["volumeMounts"]}
    [checkpoints] = [variable["value"] for variable in trainer["env"] if variable["name"] == "BALLAST_CHECKPOINT_DIR"]
    limits = {volume["name"]: volume["emptyDir"]["sizeLimit"] for volume in example.pod["volumes"]}
    assert {mounts["/tmp"], mounts[checkpoints]} == limits.keys()  # noqa: S108


@each
def test_it_is_small_and_runs_the_projects_own_image(example: TechniqueExample) -> None:
    [trainer] = example.pod["containers"]
    assert (trainer["image"], trainer["imagePullPolicy"]) == (TRAINER_IMAGE, "IfNotPresent")
    assert int(trainer["resources"]["requests"]["cpu"].removesuffix("m")) <= LARGEST_MILLICORES
    assert example.needs_gpu == (example.name in NEED_A_GPU)
