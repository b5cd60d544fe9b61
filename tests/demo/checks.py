"""What must hold when the demo is over, judged from what the API server has, not from what the operator says it did.

Pure functions over frozen values; each returns a sentence for everything that is not as it should be. Invariant: an
empty answer means that the check was made and held: what is missing counts against it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from tests.demo.objects import Asked, Job, Node, Pod, training_result

LEAST_ACCURACY = 0.9


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """Everything there is to judge.

    Attributes:
        asked: The jobs that were applied.
        jobs: How they stand, by name.
        pods: Every pod of theirs.
        nodes: By name.
        unexplained: Jobs that were seen waiting without a reason and a sentence.
    """

    asked: Sequence[Asked]
    jobs: Mapping[str, Job]
    pods: Sequence[Pod]
    nodes: Mapping[str, Node]
    unexplained: frozenset[str] = field(default=frozenset())

    def gang(self, name: str) -> list[Pod]:
        """A job's pods by their index."""
        return sorted((pod for pod in self.pods if pod.job == name), key=lambda pod: pod.index)


@dataclass(frozen=True)
class Problem:
    """Something that is not as it should be; `job` is empty where it concerns no single one."""

    job: str
    text: str

    def __str__(self) -> str:
        return f"{self.job}: {self.text}" if self.job else self.text


def problems(outcome: Outcome) -> list[Problem]:
    """Everything that is wrong; a job that has not succeeded is not judged further."""
    found: list[Problem] = []
    for asked in outcome.asked:
        unfinished = why_not_succeeded(asked, outcome.jobs.get(asked.name))
        if unfinished:
            found.append(Problem(asked.name, unfinished))
            continue
        job, gang = outcome.jobs[asked.name], outcome.gang(asked.name)
        texts = [*incomplete_gang(asked, gang), *misplaced(asked, job, gang, outcome.nodes), *untrained(asked, gang)]
        found += [Problem(asked.name, text) for text in texts]
    found += [Problem("", text) for text in overfull(outcome.pods, outcome.nodes)]
    found += [Problem(name, "waited without a reason") for name in sorted(outcome.unexplained)]
    return found


def why_not_succeeded(asked: Asked, job: Job | None) -> str:
    """Why a job cannot be called done; empty if it can."""
    if job is None:
        return "does not exist"
    if job.phase == "Succeeded":
        return ""
    told = ": ".join(part for part in (job.reason, job.message) if part)
    return f"is {job.phase}" + (f" ({told})" if told else "")


def incomplete_gang(asked: Asked, gang: Sequence[Pod]) -> list[str]:
    """Whether every pod of the gang was there and succeeded, and all of them ran at the same time."""
    indices = [pod.index for pod in gang]
    if indices != list(range(asked.replicas)):
        return [f"should have pods 0 to {asked.replicas - 1}, one each, and has {indices or 'none'}"]
    failed = [f"pod {pod.name} is {pod.phase}" for pod in gang if pod.phase != "Succeeded"]
    if failed:
        return failed
    times = [(pod.started_at, pod.finished_at) for pod in gang]
    started = [start for start, _ in times if start is not None]
    finished = [finish for _, finish in times if finish is not None]
    if len(started) < len(gang) or len(finished) < len(gang):
        return ["has pods that do not say when they ran"]
    if max(started) > min(finished):
        return [f"its pods never ran together: one started {max(started) - min(finished):.0f} s after another's end"]
    return []


def misplaced(asked: Asked, job: Job, gang: Sequence[Pod], nodes: Mapping[str, Node]) -> list[str]:
    """Whether the pods ran where the job's status says, on nodes that are fit for them, of one GPU model."""
    found: list[str] = []
    for pod in gang:
        said = job.places[pod.index].node if pod.index < len(job.places) else "nowhere"
        node = nodes.get(pod.node)
        if pod.node != said:
            found.append(f"pod {pod.name} ran on {pod.node or 'no node'}, its status says {said}")
        elif node is None:
            found.append(f"pod {pod.name} ran on {pod.node}, which is gone")
        elif pod.gpus != asked.gpus_per_pod:
            found.append(f"pod {pod.name} held {pod.gpus} GPUs instead of {asked.gpus_per_pod}")
        elif node.gpus < asked.gpus_per_pod:
            found.append(f"pod {pod.name} needs {asked.gpus_per_pod} GPUs, its node {pod.node} has {node.gpus}")
        elif node.simulated and not asked.simulated:
            found.append(f"pod {pod.name} should train for real and ran on the simulated node {pod.node}")
        elif asked.gpus_per_pod and node.gpu_model != job.places[pod.index].gpu_model:
            found.append(f"node {node.name} has {node.gpu_model}, the status says {job.places[pod.index].gpu_model}")
    models = sorted({nodes[pod.node].gpu_model for pod in gang if asked.gpus_per_pod and pod.node in nodes})
    if len(models) > 1:
        found.append(f"the gang is split over the GPU models {', '.join(models)}")
    return found


def untrained(asked: Asked, gang: Sequence[Pod]) -> list[str]:
    """Whether a real job's trainers reached the accuracy, and trained together."""
    if asked.simulated:
        return []
    found: list[str] = []
    for pod in gang:
        result = training_result(pod.last_words)
        if result is None:
            found.append(f"pod {pod.name} reports no accuracy (its last words: {pod.last_words[:200]!r})")
        elif not LEAST_ACCURACY <= result.accuracy <= 1:
            found.append(f"pod {pod.name} reached accuracy {result.accuracy:.3f}, at least {LEAST_ACCURACY} was wanted")
        elif result.processes != asked.replicas * max(asked.gpus_per_pod, 1):
            found.append(f"pod {pod.name} trained with {result.processes} processes instead of {asked.replicas}")
    return found


def overfull(pods: Iterable[Pod], nodes: Mapping[str, Node]) -> list[str]:
    """Whether the pods of any node ever held more GPUs together than it has.

    A pod counts from the moment in which it was bound until its trainer ended. Kubernetes gives times in whole seconds:
    within one, ends count before starts.
    """
    changes: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for pod in pods:
        if pod.gpus and pod.node and pod.scheduled_at is not None:
            changes[pod.node].append((pod.scheduled_at, pod.gpus))
            if pod.finished_at is not None:
                changes[pod.node].append((pod.finished_at, -pod.gpus))
    found: list[str] = []
    for name in sorted(changes):
        capacity = nodes[name].gpus if name in nodes else 0
        held = most = 0
        for _, change in sorted(changes[name]):
            held += change
            most = max(most, held)
        if most > capacity:
            found.append(f"node {name} has {capacity} GPUs, its pods held {most} at one time")
    return found
