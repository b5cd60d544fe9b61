"""What arrives in the admission benchmark: the shape of the `baseline` benchmark of Kueue's scheduler.

30 namespaces, and in each 500 jobs of one pod in three classes: many small ones, and a few that need a whole node and
come first. Invariant: the order of creation is the same in every run.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.bench.api import JsonObject
from tests.cluster import GpuNode
from tests.e2e.manifests import training_job

NAMESPACES = 30
NODES = 30
GPUS_PER_NODE = 20
CLASS_LABEL = "tests.ballast.dev/class"


@dataclass(frozen=True)
class JobClass:
    """Jobs of one size, the same in each namespace.

    Attributes:
        gpus: of the one pod.
        count: jobs in each namespace.
        interval_seconds: time between two creations in a namespace.
        run_seconds: time from admission to completion.
        priority: of the PriorityClass that has the class's name.
    """

    name: str
    gpus: int
    count: int
    interval_seconds: float
    run_seconds: float
    priority: int


CLASSES = (
    JobClass("small", 1, 350, 0.1, 0.2, 50),
    JobClass("medium", 5, 100, 0.5, 0.5, 100),
    JobClass("large", 20, 50, 1.2, 1.0, 200),
)
RUN_SECONDS: Mapping[str, float] = {kind.name: kind.run_seconds for kind in CLASSES}


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A job to create: when (in seconds after the first), where and which."""

    at: float
    namespace: str
    kind: str
    number: int


def schedule(scale: float = 1.0) -> list[Arrival]:
    """Return every arrival in order; a scale below 1 keeps the pace and shortens the stream."""
    return sorted(
        Arrival(number * kind.interval_seconds, namespace, kind.name, number)
        for namespace in namespaces()
        for kind in CLASSES
        for number in range(max(1, round(kind.count * scale)))
    )


def namespaces() -> list[str]:
    """Return the names of the namespaces."""
    return [f"queue-{number:02}" for number in range(NAMESPACES)]


def nodes(count: int = NODES) -> Sequence[GpuNode]:
    """Return the simulated nodes."""
    return [GpuNode(f"gpu-{number:02}", gpus=GPUS_PER_NODE) for number in range(count)]


def priority_classes() -> list[JsonObject]:
    """Return the PriorityClasses of the job classes."""
    return [
        {
            "apiVersion": "scheduling.k8s.io/v1",
            "kind": "PriorityClass",
            "metadata": {"name": kind.name},
            "value": kind.priority,
            "preemptionPolicy": "Never",
        }
        for kind in CLASSES
    ]


class Manifests:
    """Makes the TrainingJobs as JSON; all of a class are equal but for their names."""

    def __init__(self) -> None:
        self._templates = {}
        for kind in CLASSES:
            job = training_job("NAME").gpus(kind.gpus).pod(priorityClassName=kind.name).manifest()
            job["metadata"]["labels"] = {CLASS_LABEL: kind.name}
            self._templates[kind.name] = json.dumps(job)

    def of(self, arrival: Arrival) -> bytes:
        """Return the manifest of an arrival."""
        name = f"{arrival.kind}-{arrival.number:03}"
        return self._templates[arrival.kind].replace('"NAME"', f'"{name}"', 1).encode()
