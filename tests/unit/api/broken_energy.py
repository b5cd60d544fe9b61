"""For every rule of what a job says about energy and early stopping a manifest which breaks it and nothing else."""

from __future__ import annotations

from typing import Any

from ballast.api.trainingjob import TrainingJob
from tests.unit.api.builders import Manifest, complete_job, put, remove, training_job
from tests.unit.api.rules import BrokenRule


def _energy(why: str, says: str, **energy: Any) -> BrokenRule:
    return BrokenRule(TrainingJob, why, says, training_job(energy=energy))


def _stopping(why: str, says: str, *policies: dict[str, Any], **early_stopping: Any) -> BrokenRule:
    spec = {"metric": "val_loss", "policies": list(policies)} | early_stopping
    return BrokenRule(TrainingJob, why, says, training_job(earlyStopping=spec))


def _policies() -> list[dict[str, Any]]:
    policies: list[dict[str, Any]] = complete_job()["spec"]["earlyStopping"]["policies"]
    return policies


def _without_a_field() -> list[BrokenRule]:
    """Each policy type without each field that it needs."""
    return [
        _complete(f"{policy['type']}-without-{name}", policy["type"], remove(complete_job(), (*_POLICIES, at, name)))
        for at, policy in enumerate(_policies())
        for name in policy
        if name not in ("type", "minDelta")
    ]


def _with_a_foreign_field() -> list[BrokenRule]:
    """Each policy type with a field of another."""
    foreign = {"group": "lr-sweep"}, {"alpha": 1}
    return [
        _complete(f"{policy['type']}-with-{name}", policy["type"], put(complete_job(), (*_POLICIES, at, name), value))
        for at, policy in enumerate(_policies())
        for name, value in [
            next((name, value) for field in foreign for name, value in field.items() if name not in policy)
        ]
    ]


_POLICIES = ("spec", "earlyStopping", "policies")


def _complete(why: str, type_: str, manifest: Manifest) -> BrokenRule:
    return BrokenRule(TrainingJob, why, f"type {type_} ", manifest)


BROKEN_ENERGY = (
    _energy("nothing-fixed", "mode Fixed needs powerLimit or maxClock", operatingPoint={"mode": "Fixed"}),
    _energy("limit-but-auto", "mode must be Fixed for", operatingPoint={"mode": "Auto", "powerLimit": "250W"}),
    _energy("clock-by-default", "mode must be Fixed for", operatingPoint={"maxClock": "1410MHz"}),
    _energy("limit-but-none", "mode must be Fixed for", operatingPoint={"mode": "None", "powerLimit": "250W"}),
    _energy("no-power", "powerLimit must be more than", operatingPoint={"mode": "Fixed", "powerLimit": "0.0W"}),
    _energy("no-clock", "maxClock must be more than", operatingPoint={"mode": "Fixed", "maxClock": "0MHz"}),
    _energy("no-energy", "limit must be more than", limit="00kWh"),
    _energy("no-duration", "expectedDuration must be more than", expectedDuration="0s"),
    _energy("deadline-of-old", "must be a moment after", deadline="1969-12-31T23:59:59Z"),
    _energy("delay-forgotten", "maxDelay must be set with mode", shift={"mode": "Prefer"}),
    _energy("required-delay-forgotten", "maxDelay must be set with mode", shift={"mode": "Require"}),
    _energy("delay-ignored", "maxDelay must be set with mode", shift={"maxDelay": "6h"}),
    _energy("no-delay", "maxDelay must be more than", shift={"mode": "Prefer", "maxDelay": "0h0m"}),
)
BROKEN_EARLY_STOPPING = (
    *_without_a_field(),
    *_with_a_foreign_field(),
    _stopping(
        "free-improvement",
        "maxJoulesPerPercent must be more than",
        {"type": "EnergyPerImprovement", "maxJoulesPerPercent": "0J"},
    ),
    _stopping(
        "quotient-of-what",
        "trainingMetric must be set for",
        {"type": "ProductivityQuotient", "alpha": 0.75, "strip": 5},
    ),
    _stopping(
        "generalization-of-accuracy",
        "goal must be Minimize for",
        {"type": "GeneralizationLoss", "alpha": 5},
        goal="Maximize",
    ),
    _stopping(
        "quotient-of-accuracy",
        "goal must be Minimize for",
        {"type": "ProductivityQuotient", "alpha": 0.75, "strip": 5},
        goal="Maximize",
        trainingMetric="loss",
    ),
    _stopping(
        "no-first-rung",
        "startStep must be at least 1 for",
        {"type": "SuccessiveHalving", "reduction": 3, "group": "lr-sweep"},
    ),
)
