"""A smallest and a complete good manifest of each kind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ballast.api.energybudget import EnergyBudget
from ballast.api.energyprofile import EnergyProfile
from ballast.api.kinds import Kind
from ballast.api.nodepower import NodePower
from ballast.api.trainingjob import TrainingJob
from tests.unit.api.builders import MOMENT, Manifest, complete_job, operating_point, training_job


def _object(kind: str, name: str, spec: dict[str, Any]) -> Manifest:
    return {"apiVersion": "ballast.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def _condition(type_: str) -> dict[str, Any]:
    return {
        "type": type_,
        "status": "True",
        "reason": "AsItShouldBe",
        "message": "all is well",
        "lastTransitionTime": MOMENT,
        "observedGeneration": 1,
    }


def energy_budget(name: str = "vision", /, **spec: Any) -> Manifest:
    """The smallest good EnergyBudget; `spec` adds or replaces fields by their names in the API."""
    return _object("EnergyBudget", name, spec or {"energy": {"limit": "200kWh"}})


def complete_budget() -> Manifest:
    """An EnergyBudget in which every field is set."""
    amounts = {"joules": 3_600_000, "estimatedJoules": 1000, "gramsCO2e": 380.5, "cost": 0.3}
    manifest = energy_budget(
        selector={
            "namespaces": ["team-vision", "team-speech"],
            "namespaceSelector": {
                "matchLabels": {"example.com/team": "vision"},
                "matchExpressions": [{"key": "tier", "operator": "In", "values": ["research", "production"]}],
            },
            "nodeSelector": {"topology.kubernetes.io/zone": "east-1a"},
        },
        period="P1DT12H",
        timeZone="Europe/Berlin",
        energy={"limit": "200kWh"},
        carbon={"limit": "80kg"},
        power={"limit": "40kW"},
        enforcement="Advise",
        actions=[{"at": 70, "do": "Warn"}, {"at": 80, "do": "Throttle"}, {"at": 95, "do": "Hold"}],
    )
    manifest["status"] = {
        "observedGeneration": 1,
        "periodStart": MOMENT,
        "periodEnd": MOMENT,
        "usedPercent": 12.5,
        "used": "25 of 200 kWh",
        "consumed": amounts,
        "reserved": {"joules": 1000, "gramsCO2e": 0.5, "watts": 1200},
        "forecast": {"joules": 9_000_000, "gramsCO2e": 900},
        "power": {"watts": 950.5, "boundWatts": 1200},
        "running": 2,
        "held": 1,
        "settled": [amounts | {"uid": "0d1f6c2e-4b0e-4a55-9d0e-0c7f6f2f8f10"}],
        "history": [amounts | {"start": MOMENT, "end": MOMENT}],
        "conditions": [_condition("WithinLimits")],
    }
    return manifest


def node_power(name: str = "node-a", /, **spec: Any) -> Manifest:
    """The smallest good NodePower."""
    return _object("NodePower", name, spec)


def complete_node_power() -> Manifest:
    """A NodePower in which every field is set."""
    pod = {"uid": "3c9fbd2e-4b0e-4a55-9d0e-0c7f6f2f8f10", "namespace": "team-vision", "name": "digits-1-0-x7k2p"}
    manifest = node_power(pods=[pod | {"operatingPoint": operating_point()}], freeGpus="Park", withoutOperator="Hold")
    manifest["status"] = {
        "observedGeneration": 1,
        "agent": "0.1.0",
        "driver": "580.65.06",
        "gpuModel": "NVIDIA-A100-SXM4-80GB",
        "gpuCount": 1,
        "cappedGpus": 1,
        "limitWatts": 250,
        "gpus": [
            {
                "uuid": "GPU-5fd4f087-86f3-7a43-b711-4771313afc50",
                "model": "NVIDIA-A100-SXM4-80GB",
                "memoryBytes": 85_899_345_920,
                "capabilities": ["PowerLimit", "LockedClocks", "EnergyCounter"],
                "powerLimit": {"minWatts": 100, "maxWatts": 400, "defaultWatts": 400, "foundWatts": 375.5},
                "clock": {"minHertz": 210_000_000, "maxHertz": 1_410_000_000},
                "memoryClock": {"minHertz": 1_215_000_000, "maxHertz": 1_593_000_000},
                "idleWatts": 52.5,
                "mig": True,
                "enforced": {
                    "operatingPoint": operating_point(),
                    "since": MOMENT,
                    "delaySeconds": 0.25,
                    "reapplied": 1,
                },
                "holders": [pod | {"migDevice": "MIG-4fd4f087-86f3-7a43-b711-4771313afc50"}],
                "problem": "powerLimitWatts 90 is below 100: choose at least that",
            }
        ],
        "cpuPackages": [{"index": 0, "metered": True, "dram": True, "idleWatts": 35.5}],
        "endedPods": [
            {
                "uid": pod["uid"],
                "at": MOMENT,
                "used": [{"component": "gpu", "activeJoules": 81_000.5, "idleJoules": 9000, "source": "Counter"}],
            }
        ],
        "conditions": [_condition("Ready")],
    }
    return manifest


def energy_profile(name: str = "resnet50-a100", /, **spec: Any) -> Manifest:
    """The smallest good EnergyProfile."""
    identity = {"profileKey": "resnet50-bs256", "gpuModel": "NVIDIA-A100-SXM4-80GB"}
    return _object("EnergyProfile", name, identity | spec)


def measured_point(power_limit_watts: float = 250, gpus: int = 8) -> dict[str, Any]:
    """A measured operating point, every field set."""
    return {
        "gpus": gpus,
        "powerLimitWatts": power_limit_watts,
        "maxClockHertz": 1_410_000_000,
        "stepsPerSecond": 3.25,
        "stepsPerSecondDeviation": 0.05,
        "wattsPerGpu": 231.5,
        "wattsPerGpuDeviation": 4.5,
        "samples": 40,
        "measuredSeconds": 1200,
        "measuredAt": MOMENT,
    }


def complete_profile() -> Manifest:
    """An EnergyProfile in which every field is set."""
    manifest = energy_profile(points=[measured_point(250), measured_point(400)])
    manifest["status"] = {
        "observedGeneration": 1,
        "points": 2,
        "samples": 80,
        "bestPowerLimitWatts": 250,
        "bestJoulesPerStep": 569.5,
        "contradicting": measured_point(250),
        "conditions": [_condition("Usable")],
    }
    return manifest


SMALLEST: dict[type[Kind], Callable[[], Manifest]] = {
    TrainingJob: training_job,
    EnergyBudget: energy_budget,
    NodePower: node_power,
    EnergyProfile: energy_profile,
}
COMPLETE: dict[type[Kind], Callable[[], Manifest]] = {
    TrainingJob: complete_job,
    EnergyBudget: complete_budget,
    NodePower: complete_node_power,
    EnergyProfile: complete_profile,
}
