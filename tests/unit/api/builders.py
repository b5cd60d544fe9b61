"""Manifests of TrainingJobs: good ones to start from, and changes that read as sentences."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

Manifest = dict[str, Any]
Path = tuple[str | int, ...]
"""Names of fields, and indexes of list items."""

POD: Path = ("spec", "template", "spec")
TRAINER: Path = (*POD, "containers", 0)
MOMENT = "2026-01-02T03:04:05Z"


def training_job(name: str = "digits", /, **spec: Any) -> Manifest:
    """The smallest good manifest; `spec` adds or replaces fields by their names in the API."""
    template = {"spec": {"containers": [{"name": "trainer", "image": "example.com/trainer:1"}]}}
    return {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "TrainingJob",
        "metadata": {"name": name},
        "spec": {"template": template} | spec,
    }


def complete_job() -> Manifest:
    """A good manifest in which every field that the schema declares is set, but those that must be absent."""
    manifest = training_job(
        replicas=2,
        launcher="torchrun",
        suspend=True,
        retryLimit=5,
        activeDeadlineSeconds=86400,
        ttlSecondsAfterFinished=3600,
        checkpointGraceSeconds=60,
        energy=complete_energy(),
        earlyStopping=complete_early_stopping(),
    )
    manifest["spec"]["template"]["metadata"] = {"labels": {"team": "vision"}}
    pod = manifest["spec"]["template"]["spec"]
    trainer = pod["containers"][0]
    trainer["env"] = [{"name": "LEARNING_RATE", "value": "0.1"}]
    trainer["resources"] = {"requests": {"nvidia.com/gpu": 2}, "limits": {"nvidia.com/gpu": "2", "cpu": "4"}}
    fetch = {"name": "fetch", "image": "example.com/fetch:1", "env": [{"name": "URL", "value": "x"}]}
    pod["initContainers"] = [fetch | {"resources": {"requests": {"cpu": 1}, "limits": {"cpu": 2}}}]
    pod["schedulingGates"] = [{"name": "example.com/licence"}]
    pod["restartPolicy"] = "Never"
    manifest["status"] = complete_status()
    return manifest


def complete_energy() -> dict[str, Any]:
    """A `spec.energy` in which every field is set."""
    return {
        "objective": "Balanced",
        "maxSlowdownPercent": 25,
        "deadline": MOMENT,
        "limit": "12kWh",
        "expectedDuration": "6h",
        "operatingPoint": {"mode": "Fixed", "powerLimit": "250W", "maxClock": "1.41GHz"},
        "profileKey": "resnet50-bs256",
        "shift": {"mode": "Prefer", "maxDelay": "6h"},
    }


def complete_early_stopping() -> dict[str, Any]:
    """A `spec.earlyStopping` in which every field is set and every policy stands."""
    return {
        "metric": "val_loss",
        "trainingMetric": "loss",
        "goal": "Minimize",
        "startStep": 500,
        "smoothing": 0.5,
        "combine": "All",
        "mode": "Advise",
        "onPlateau": "Throttle",
        "policies": [
            {"type": "Patience", "evaluations": 10, "minDelta": 0.001},
            {"type": "GeneralizationLoss", "alpha": 5},
            {"type": "ProductivityQuotient", "alpha": 0.75, "strip": 5},
            {"type": "UpStrips", "strips": 3, "strip": 5},
            {"type": "MedianStopping", "minTrials": 3, "group": "lr-sweep"},
            {"type": "EnergyPerImprovement", "maxJoulesPerPercent": "2MJ"},
            {"type": "SuccessiveHalving", "reduction": 3, "group": "lr-sweep"},
            {"type": "LearningCurve", "minImprovement": 0.001, "probability": 0.05},
            {"type": "Target", "value": 0.05},
            {"type": "Divergence"},
        ],
    }


def complete_status() -> dict[str, Any]:
    """A status in which every field is set."""
    time = MOMENT
    return {
        "phase": "Running",
        "reason": "PodsRunning",
        "observedGeneration": 3,
        "queuedAt": time,
        "startedAt": time,
        "finishedAt": time,
        "retryAt": time,
        "failures": 1,
        "activeSeconds": 7200,
        "queue": {"position": 20, "predictedStart": time},
        "gpus": 4,
        "nodes": "node-a,node-b",
        "preemption": {
            "until": time,
            "nodes": ["node-a"],
            "victims": [{"uid": "3c9fbd2e-4b0e-4a55-9d0e-0c7f6f2f8f10", "attempt": 2}],
        },
        "placement": [
            {
                "pod": "digits-1-0",
                "node": "node-a",
                "gpuModel": "NVIDIA-A100-SXM4-80GB",
                "gpus": 2,
                "gpuUuids": ["GPU-5fd4f087-86f3-7a43-b711-4771313afc50", "GPU-a1b2c3d4-86f3-7a43-b711-4771313afc50"],
                "operatingPoint": operating_point(),
            },
            {"pod": "digits-1-1", "node": "node-b", "gpuModel": "NVIDIA-A100-SXM4-80GB", "gpus": 2},
        ],
        "operatingPoint": {
            "powerLimitWatts": 225,
            "since": time,
            "lostSeconds": 2.5,
            "samples": 7,
            "observedGeneration": 3,
            "why": "225 W of 300 W: 12 % fewer joules for 3 % more time, measured",
            "options": [
                {
                    "powerLimitWatts": 150,
                    "joulesPercent": -14.5,
                    "slowdownPercent": 21,
                    "measured": False,
                    "against": "too slow: 21 % > 10 %",
                },
                {
                    "powerLimitWatts": 225,
                    "joulesPercent": -12,
                    "slowdownPercent": 3,
                    "measured": True,
                    "against": "",
                },
            ],
        },
        "decision": {
            "at": time,
            "kind": "Placed",
            "workSeconds": 3600,
            "workIsAssumed": True,
            "options": [
                {
                    "gpuModel": "A100",
                    "nodes": 2,
                    "powerLimitWatts": 225,
                    "joules": 4_380_000,
                    "seconds": 6120,
                    "waitSeconds": 0,
                    "against": "",
                },
                {
                    "gpuModel": "H100",
                    "nodes": 1,
                    "powerLimitWatts": 500,
                    "joules": 4_510_000,
                    "seconds": 3780,
                    "waitSeconds": 180,
                    "against": "3 % more joules",
                },
            ],
        },
        "energy": {
            "predictedWatts": 812.5,
            "watts": 790.25,
            "joules": 5_400_000,
            "estimatedJoules": 1000,
            "earlierJoules": 250_000,
            "used": "1.5 kWh",
            "gramsCO2e": 570.5,
            "cost": 0.45,
            "baselineJoules": 6_000_000,
            "savedPercent": 10,
        },
        "progress": {
            "step": 450,
            "totalSteps": 1000,
            "percent": 45,
            "epoch": 4.5,
            "metric": 0.31,
            "best": 0.29,
            "evaluations": 9,
            "missedEvaluations": 1,
            "stepsPerSecond": 2.5,
            "estimatedSecondsLeft": 220,
            "reportedAt": time,
        },
        "attempts": [
            {
                "number": 1,
                "startedAt": time,
                "placedAt": time,
                "runningAt": time,
                "stoppedAt": time,
                "finishedAt": time,
                "outcome": "Succeeded",
                "reason": "TrainingSucceeded",
                "message": "every trainer exited with 0",
                "avoid": ["node-c"],
                "energy": {
                    "joules": 5_150_000,
                    "gpuJoules": 4_800_000,
                    "cpuJoules": 300_000,
                    "dramJoules": 50_000,
                    "idleJoules": 900_000.5,
                    "estimatedJoules": 350_000,
                    "pods": 2,
                    "podsWithoutLastReading": 1,
                },
            }
        ],
        "settling": ["3c9fbd2e-4b0e-4a55-9d0e-0c7f6f2f8f10"],
        "conditions": [
            {
                "type": "Admitted",
                "status": "True",
                "reason": "Reserved",
                "message": "4 GPUs on 2 nodes",
                "lastTransitionTime": time,
                "observedGeneration": 3,
            }
        ],
    }


def operating_point() -> dict[str, Any]:
    """An operating point as operator and agent write it, every field set."""
    return {
        "powerLimitWatts": 250,
        "minClockHertz": 210_000_000,
        "maxClockHertz": 1_410_000_000,
        "memoryClockHertz": 1_215_000_000,
    }


def put(manifest: Mapping[str, Any], path: Path, value: Any) -> Manifest:
    """A copy of the manifest with a value at a path, whose missing parents are made."""
    changed = copy.deepcopy(dict(manifest))
    node: Any = changed
    for name in path[:-1]:
        node = node[name] if isinstance(name, int) else node.setdefault(name, {})
    node[path[-1]] = value
    return changed


def remove(manifest: Mapping[str, Any], path: Path) -> Manifest:
    """A copy of the manifest without what stands at a path."""
    changed = copy.deepcopy(dict(manifest))
    del get(changed, path[:-1])[path[-1]]
    return changed


def get(manifest: Mapping[str, Any], path: Path) -> Any:
    """What stands at a path.

    Raises:
        LookupError: Nothing does.
    """
    node: Any = manifest
    for name in path:
        node = node[name]
    return node
