"""The jobs as the watch tells them: what is now, and what changed.

Invariant: a job stands on the board from the start, before the API server has told of it, and only jobs of this run do.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from tests.demo import objects
from tests.demo.objects import HOLDS_CAPACITY, HOPELESS, Asked, Job, JsonObject, Node

PHASES = ("Pending", "Queued", "Placing", "Running", "Succeeded", "Failed")


@dataclass(frozen=True)
class Change:
    """A job that went from one phase to another."""

    before: str
    job: Job


class Board:
    """All jobs of the demo.

    Args:
        asked: The jobs that are to come.
        nodes: The nodes, by name.
    """

    def __init__(self, asked: Iterable[Asked], nodes: Mapping[str, Node]) -> None:
        self.asked = {each.name: each for each in asked}
        self.jobs = {name: Job(name=name) for name in self.asked}
        self.nodes = nodes
        self.unexplained: set[str] = set()
        self.waited: set[str] = set()

    def see(self, event: JsonObject) -> Change | None:
        """Takes in a watch event; returns what it changed, if that is a phase."""
        if event["type"] not in {"ADDED", "MODIFIED"}:
            return None
        job = objects.job(event["object"])
        if job.name not in self.jobs:
            return None
        before, self.jobs[job.name] = self.jobs[job.name], job
        if job.phase == "Queued":
            self.waited.add(job.name)
            if not (job.reason and job.message):
                self.unexplained.add(job.name)
        return Change(before.phase, job) if before.phase != job.phase else None

    @property
    def done(self) -> bool:
        """Whether every job has ended."""
        return all(job.is_final for job in self.jobs.values())

    @property
    def hopeless(self) -> bool:
        """Whether nothing is under way, and all that is left waits for what will not come."""
        left = [job for job in self.jobs.values() if not job.is_final]
        return bool(left) and all(job.phase == "Queued" and job.reason in HOPELESS for job in left)

    def counts(self) -> dict[str, int]:
        """How many jobs stand in each phase, those of none left out."""
        counted = Counter(job.phase for job in self.jobs.values())
        return {phase: counted[phase] for phase in PHASES if counted[phase]}

    def gpus_in_use(self) -> dict[str, tuple[int, int]]:
        """GPUs that are held and GPUs that there are, by GPU model.

        A job's status follows its pods by a moment, in which another may have its GPUs already: a node's GPUs count
        once. Whether pods ever shared one is judged from the pods (`checks.overfull`).
        """
        held = Counter[str]()
        for job in self.jobs.values():
            if job.phase in HOLDS_CAPACITY:
                for place in job.places:
                    held[place.node] += place.gpus
        models: dict[str, tuple[int, int]] = {}
        for node in sorted(self.nodes.values(), key=lambda node: (node.gpu_model, node.name)):
            if node.gpus:
                used, there = models.get(node.gpu_model, (0, 0))
                models[node.gpu_model] = (used + min(held[node.name], node.gpus), there + node.gpus)
        return models
