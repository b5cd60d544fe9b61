"""A manifest for every rule that spans fields, which breaks it and nothing else.

Used twice: without a cluster on the models' predicates, and against a real API server on the CEL expressions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.unit.api.builders import ITEM, Manifest, Path, complete_job, put, training_job

_POD: Path = ("spec", "template", "spec")
_TRAINER: Path = (*_POD, "containers", ITEM)


@dataclass(frozen=True)
class BrokenRule:
    """One manifest that a rule refuses.

    Attributes:
        why: The test's name.
        says: How the rule's message begins.
        manifest: The manifest.
    """

    why: str
    says: str
    manifest: Manifest


def _with_containers(*containers: dict[str, Any]) -> Manifest:
    return put(training_job(), (*_POD, "containers"), list(containers))


_GPU = {"limits": {"nvidia.com/gpu": 1}}

BROKEN_RULES = (
    BrokenRule("no-trainer", "containers must hold exactly one", _with_containers({"name": "main", "image": "x"})),
    BrokenRule(
        "gpu-beside-trainer",
        "containers may ask for nvidia.com/gpu only",
        _with_containers({"name": "trainer", "image": "x"}, {"name": "viewer", "image": "x", "resources": _GPU}),
    ),
    BrokenRule(
        "gpu-in-init-container",
        "initContainers may not ask for nvidia.com/gpu",
        put(complete_job(), (*_POD, "initContainers", ITEM, "resources"), _GPU),
    ),
    BrokenRule(
        "gpu-request-differs",
        "nvidia.com/gpu in requests must equal limits",
        put(complete_job(), (*_TRAINER, "resources", "requests", "nvidia.com/gpu"), 1),
    ),
    BrokenRule(
        "gpu-request-alone",
        "nvidia.com/gpu in requests must equal limits",
        put(training_job(), (*_TRAINER, "resources"), {"requests": {"nvidia.com/gpu": 1}}),
    ),
    BrokenRule(
        "own-gate",
        "schedulingGates must not name ballast.dev/placement",
        put(training_job(), (*_POD, "schedulingGates"), [{"name": "ballast.dev/placement"}]),
    ),
    BrokenRule("node-name", "nodeName must be absent", put(training_job(), (*_POD, "nodeName"), "node-a")),
    BrokenRule("hostname", "hostname must be absent", put(training_job(), (*_POD, "hostname"), "a")),
    BrokenRule("subdomain", "subdomain must be absent", put(training_job(), (*_POD, "subdomain"), "a")),
    BrokenRule(
        "grace-in-template",
        "terminationGracePeriodSeconds must be absent",
        put(training_job(), (*_POD, "terminationGracePeriodSeconds"), 30),
    ),
    *(
        BrokenRule(
            f"torchrun-with-{variable}",
            "template must not set PET_",
            put(training_job(launcher="torchrun"), (*_TRAINER, "env"), [{"name": variable, "value": "1"}]),
        )
        for variable in ("PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_NNODES", "PET_NODE_RANK")
    ),
    BrokenRule("name-too-long", "metadata.name must be at most 48", training_job("a" * 49)),
    BrokenRule("name-with-dot", "metadata.name must be at most 48", training_job("a.b")),
    BrokenRule("name-starts-with-digit", "metadata.name must be at most 48", training_job("1a")),
)


@dataclass(frozen=True)
class ForbiddenEdit:
    """A change that is refused while the job is admitted, and allowed before.

    Attributes:
        says: How the rule's message begins.
        path: The field.
        value: Its new value.
    """

    says: str
    path: Path
    value: Any


FORBIDDEN_EDITS = (
    ForbiddenEdit("spec.replicas is immutable while", ("spec", "replicas"), 3),
    ForbiddenEdit("spec.launcher is immutable while", ("spec", "launcher"), "none"),
    # A field that the schema does not declare, to see that the rule compares the whole template.
    ForbiddenEdit("spec.template is immutable while", (*_TRAINER, "image"), "example.com/trainer:2"),
)
