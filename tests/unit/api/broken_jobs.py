"""For every rule of a TrainingJob that spans fields a manifest which breaks it and nothing else."""

from __future__ import annotations

from typing import Any

from ballast.api.trainingjob import TrainingJob
from tests.unit.api.builders import POD, TRAINER, Manifest, Path, complete_job, put, remove, training_job
from tests.unit.api.rules import BrokenRule, ForbiddenEdit


def _with_containers(*containers: dict[str, Any]) -> Manifest:
    return put(training_job(), (*POD, "containers"), list(containers))


def _broken(why: str, says: str, manifest: Manifest) -> BrokenRule:
    return BrokenRule(TrainingJob, why, says, manifest)


_GPU = {"limits": {"nvidia.com/gpu": 1}}

BROKEN_JOBS = (
    _broken("no-trainer", "containers must hold exactly one", _with_containers({"name": "main", "image": "x"})),
    _broken(
        "gpu-beside-trainer",
        "containers may ask for nvidia.com/gpu only",
        _with_containers({"name": "trainer", "image": "x"}, {"name": "viewer", "image": "x", "resources": _GPU}),
    ),
    _broken(
        "gpu-in-init-container",
        "initContainers may not ask for nvidia.com/gpu",
        put(complete_job(), (*POD, "initContainers", 0, "resources"), _GPU),
    ),
    _broken(
        "gpu-request-differs",
        "nvidia.com/gpu in requests must equal limits",
        put(complete_job(), (*TRAINER, "resources", "requests", "nvidia.com/gpu"), 1),
    ),
    _broken(
        "gpu-request-alone",
        "nvidia.com/gpu in requests must equal limits",
        put(training_job(), (*TRAINER, "resources"), {"requests": {"nvidia.com/gpu": 1}}),
    ),
    _broken(
        "gpu-request-alone-in-init-container",
        "nvidia.com/gpu in requests must equal limits",
        put(complete_job(), (*POD, "initContainers", 0, "resources"), {"requests": {"nvidia.com/gpu": 1}}),
    ),
    _broken(
        "own-gate",
        "schedulingGates must not name ballast.dev/placement",
        put(training_job(), (*POD, "schedulingGates"), [{"name": "ballast.dev/placement"}]),
    ),
    _broken("node-name", "nodeName must be absent", put(training_job(), (*POD, "nodeName"), "node-a")),
    _broken("hostname", "hostname must be absent", put(training_job(), (*POD, "hostname"), "a")),
    _broken("subdomain", "subdomain must be absent", put(training_job(), (*POD, "subdomain"), "a")),
    _broken(
        "grace-in-template",
        "terminationGracePeriodSeconds must be absent",
        put(training_job(), (*POD, "terminationGracePeriodSeconds"), 30),
    ),
    *(
        _broken(
            f"torchrun-with-{variable}",
            "template must not set PET_",
            put(training_job(launcher="torchrun"), (*TRAINER, "env"), [{"name": variable, "value": "1"}]),
        )
        for variable in ("PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_NNODES", "PET_NODE_RANK")
    ),
    _broken("name-too-long", "metadata.name must be at most 48", training_job("a" * 49)),
    _broken("name-with-dot", "metadata.name must be at most 48", training_job("a.b")),
    _broken("name-starts-with-digit", "metadata.name must be at most 48", training_job("1a")),
)


_ADMITTED = complete_job()
_ENDED = put(put(complete_job(), ("status", "conditions", 0, "status"), "False"), ("status", "phase"), "Succeeded")
_WITHOUT_KEY = remove(_ADMITTED, ("spec", "energy", "profileKey"))


def _forbidden(why: str, field: str, before: Manifest, path: Path, value: Any) -> ForbiddenEdit:
    return ForbiddenEdit(TrainingJob, why, f"spec.{field} is immutable while", before, path, value)


FORBIDDEN_JOB_EDITS = (
    *(
        _forbidden(f"{state}-{path[1]}", str(path[1]), before, path, value)
        for state, before in (("admitted", _ADMITTED), ("ended", _ENDED))
        for path, value in (
            (("spec", "replicas"), 3),
            (("spec", "launcher"), "none"),
            # A field that the schema does not declare, to see that the rule compares the whole template.
            ((*TRAINER, "image"), "example.com/trainer:2"),
        )
    ),
    _forbidden("other-key", "energy.profileKey", _ADMITTED, ("spec", "energy", "profileKey"), "other"),
    _forbidden("first-key", "energy.profileKey", _WITHOUT_KEY, ("spec", "energy", "profileKey"), "first"),
    _forbidden("other-metric", "earlyStopping.metric", _ADMITTED, ("spec", "earlyStopping", "metric"), "accuracy"),
    _forbidden(
        "other-training-metric",
        "earlyStopping.trainingMetric",
        _ADMITTED,
        ("spec", "earlyStopping", "trainingMetric"),
        "other",
    ),
    _forbidden(
        "other-goal",
        "earlyStopping.goal",
        _ADMITTED,
        ("spec", "earlyStopping"),
        {"metric": "val_loss", "trainingMetric": "loss", "goal": "Maximize", "policies": [{"type": "Divergence"}]},
    ),
)
