"""For every rule of the other three kinds a manifest or an edit which breaks it and nothing else."""

from __future__ import annotations

from typing import Any

from ballast.api.energybudget import EnergyBudget
from ballast.api.energyprofile import EnergyProfile
from ballast.api.kinds import Kind
from ballast.api.nodepower import NodePower
from ballast.api.trainingjob import TrainingJob
from tests.unit.api.builders import Path, put, remove
from tests.unit.api.kinds import COMPLETE, complete_profile, energy_budget, energy_profile, measured_point
from tests.unit.api.rules import BrokenRule, ForbiddenEdit

_LIMIT = {"limit": "200kWh"}


def _budget(why: str, says: str, **spec: Any) -> BrokenRule:
    return BrokenRule(EnergyBudget, why, says, energy_budget(**spec))


def _selecting(why: str, says: str, **selector: Any) -> BrokenRule:
    return _budget(why, says, energy=_LIMIT, selector=selector)


def _acting(why: str, says: str, *actions: tuple[int, str]) -> BrokenRule:
    return _budget(why, says, energy=_LIMIT, actions=[{"at": at, "do": do} for at, do in actions])


def _requiring(why: str, says: str, **expression: Any) -> BrokenRule:
    return _selecting(why, says, namespaceSelector={"matchExpressions": [{"key": "tier"} | expression]})


BROKEN_BUDGETS = (
    _budget("no-limit", "energy, carbon or power must be set", period="Week"),
    _budget("no-joules", "limit must be more than", energy={"limit": "0kWh"}),
    _budget("no-grams", "limit must be more than", carbon={"limit": "0g"}),
    _budget("no-watts", "limit must be more than", power={"limit": "0.000kW"}),
    _budget(
        "actions-on-power",
        "actions must be absent without",
        power={"limit": "40kW"},
        actions=[{"at": 90, "do": "Hold"}],
    ),
    _acting("actions-descend", "actions must ascend by at", (90, "Warn"), (80, "Hold")),
    _acting("actions-at-once", "actions must ascend by at", (80, "Warn"), (80, "Hold")),
    _selecting("selects-by-nothing", "namespaces, namespaceSelector or nodeSelector must be set"),
    _selecting("labels-of-nothing", "matchLabels or matchExpressions must be set", namespaceSelector={}),
    _requiring("in-nothing", "values must be set with", operator="In"),
    _requiring("exists-with-value", "values must be set with", operator="Exists", values=["research"]),
    _selecting("odd-node-label", "nodeSelector must have good label keys", nodeSelector={"no label": "a"}),
    _selecting("long-node-label", "nodeSelector must have good label keys", nodeSelector={"a" * 64: "a"}),
    _selecting(
        "odd-namespace-label",
        "matchLabels must have good label keys",
        namespaceSelector={"matchLabels": {"/tier": "research"}},
    ),
)


_GPU: Path = ("status", "gpus", 0)
_POINTS: tuple[tuple[str, type[Kind], Path], ...] = (
    ("asked", NodePower, ("spec", "pods", 0, "operatingPoint")),
    ("read-back", NodePower, (*_GPU, "enforced", "operatingPoint")),
    ("placed", TrainingJob, ("status", "placement", 0, "operatingPoint")),
)


def _point(name: str, kind: type[Kind], at: Path) -> tuple[BrokenRule, ...]:
    good = COMPLETE[kind]()
    nothing = put(good, at, {})
    half = remove(good, (*at, "minClockHertz"))
    upside_down = put(good, (*at, "maxClockHertz"), 1_000_000)
    return (
        BrokenRule(kind, f"{name}-point-of-nothing", "powerLimitWatts, maxClockHertz or memory", nothing),
        BrokenRule(kind, f"{name}-half-a-range", "minClockHertz and maxClockHertz must be set", half),
        BrokenRule(kind, f"{name}-range-upside-down", "minClockHertz must be at most", upside_down),
    )


def _upside_down(says: str, *path: str, value: int) -> BrokenRule:
    manifest = put(COMPLETE[NodePower](), (*_GPU, *path), value)
    return BrokenRule(NodePower, f"{path[0]}-upside-down", says, manifest)


BROKEN_POINTS = tuple(case for name, kind, at in _POINTS for case in _point(name, kind, at))
BROKEN_NODES = (
    _upside_down("minWatts must be at most", "powerLimit", "maxWatts", value=50),
    _upside_down("minHertz must be at most", "clock", "maxHertz", value=1000),
    _upside_down("minHertz must be at most", "memoryClock", "maxHertz", value=1000),
)
BROKEN_PROFILES = (
    BrokenRule(
        EnergyProfile,
        "point-twice",
        "points must differ in",
        energy_profile(points=[measured_point(250), measured_point(400), measured_point(250)]),
    ),
    BrokenRule(
        EnergyProfile,
        "measured-of-old",
        "must be a moment after",
        put(complete_profile(), ("spec", "points", 1, "measuredAt"), "1970-01-01T00:00:00Z"),
    ),
    BrokenRule(
        EnergyProfile,
        "contradicted-of-old",
        "must be a moment after",
        put(complete_profile(), ("status", "contradicting", "measuredAt"), "1970-01-01T00:00:00Z"),
    ),
)
FORBIDDEN_PROFILE_EDITS = (
    ForbiddenEdit(
        EnergyProfile, "other-key", "profileKey is immutable", complete_profile(), ("spec", "profileKey"), "other"
    ),
    ForbiddenEdit(
        EnergyProfile, "other-model", "gpuModel is immutable", complete_profile(), ("spec", "gpuModel"), "NVIDIA-A40"
    ),
)
