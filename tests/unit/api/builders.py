"""Manifests of TrainingJobs: a good one to start from, and changes that read as sentences."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

ITEM = "[]"
"""In a path: the first item of a list."""

Manifest = dict[str, Any]
Path = tuple[str, ...]


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
    """A good manifest in which every list that the schema bounds has an item."""
    manifest = training_job(replicas=2, launcher="torchrun", checkpointGraceSeconds=60)
    manifest["spec"]["energy"] = {"objective": "Balanced", "maxSlowdownPercent": 25}
    pod = manifest["spec"]["template"]["spec"]
    trainer = pod["containers"][0]
    trainer["env"] = [{"name": "LEARNING_RATE", "value": "0.1"}]
    trainer["resources"] = {"requests": {"nvidia.com/gpu": 2}, "limits": {"nvidia.com/gpu": "2", "cpu": "4"}}
    pod["initContainers"] = [{"name": "fetch", "image": "example.com/fetch:1", "env": [{"name": "URL", "value": "x"}]}]
    pod["schedulingGates"] = [{"name": "example.com/licence"}]
    pod["restartPolicy"] = "Never"
    manifest["status"] = complete_status()
    return manifest


def complete_status() -> dict[str, Any]:
    """A status in which every field is set."""
    time = "2026-01-02T03:04:05Z"
    return {
        "phase": "Running",
        "reason": "PodsRunning",
        "observedGeneration": 3,
        "queuedAt": time,
        "startedAt": time,
        "finishedAt": time,
        "gpus": 4,
        "nodes": "node-a,node-b",
        "placement": [
            {"pod": "digits-1-0", "node": "node-a", "gpuModel": "NVIDIA-A100-SXM4-80GB", "gpus": 2},
            {"pod": "digits-1-1", "node": "node-b", "gpuModel": "NVIDIA-A100-SXM4-80GB", "gpus": 2},
        ],
        "energy": {"predictedWatts": 812.5},
        "attempts": [
            {
                "number": 1,
                "startedAt": time,
                "placedAt": time,
                "runningAt": time,
                "finishedAt": time,
                "outcome": "Succeeded",
                "reason": "TrainingSucceeded",
            }
        ],
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


def put(manifest: Mapping[str, Any], path: Path, value: Any) -> Manifest:
    """A copy of the manifest with a value at a path, whose missing parents are made."""
    changed = copy.deepcopy(dict(manifest))
    node: Any = changed
    for name in path[:-1]:
        node = node[0] if name == ITEM else node.setdefault(name, {})
    node[path[-1]] = value
    return changed


def remove(manifest: Mapping[str, Any], path: Path) -> Manifest:
    """A copy of the manifest without what stands at a path."""
    changed = copy.deepcopy(dict(manifest))
    node: Any = changed
    for name in path[:-1]:
        node = node[0] if name == ITEM else node[name]
    del node[path[-1]]
    return changed


def get(manifest: Mapping[str, Any], path: Path) -> Any:
    """What stands at a path; None if nothing does."""
    node: Any = manifest
    for name in path:
        if node is None:
            return None
        node = node[0] if name == ITEM else node.get(name)
    return node
