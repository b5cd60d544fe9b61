"""Builders of what a policy sees: `cluster(v100=2, a40=1).waiting(job("a", 4)).running(...)`.

A cluster of the builders has 8 GPUs a node; nothing is off, and nothing runs, unless a test says so. What a job is
told of its speed is in `SPEEDS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.policy import Reading, RunningJob, SetLimit, SimNode, Start, Step, Stop, View, WakeUp

SPEEDS = Speeds(
    {"even": {"V100": 1.0, "A40": 1.0}, "likes-v100": {"V100": 1.0, "A40": 0.5}, "likes-a40": {"V100": 1.0, "A40": 2.0}}
)
"""Of three kinds: one does not care, the others run best on the GPU model that they are named for."""

LIMITS = {"V100": (100.0, 250.0), "A40": (100.0, 300.0)}


def job(name: str, gpus: int = 1, *, kind: str = "even", at: float = 0.0, seconds: float = 1000.0) -> TraceJob:
    """A job that was submitted at a time and takes so many seconds on a V100."""
    return TraceJob(name, kind, at, gpus, seconds)


@dataclass(frozen=True)
class Cluster:
    """A view in the making."""

    view: View

    def waiting(self, *jobs: TraceJob) -> Cluster:
        """With jobs that wait, besides those that do."""
        waiting = sorted((*self.view.waiting, *jobs), key=lambda one: one.submitted_at)
        return Cluster(replace(self.view, waiting=tuple(waiting)))

    def running(
        self,
        one: TraceJob,
        nodes: Mapping[str, int] | str,
        *,
        limit: float | None = None,
        reading: Reading | None = None,
        done: float = 0.0,
    ) -> Cluster:
        """With a job that holds GPUs: those of the nodes, or all it asks for on one node."""
        nodes = {nodes: one.gpus} if isinstance(nodes, str) else nodes
        model = self.view.nodes[next(iter(nodes))].gpu_model
        free = {name: gpus - nodes.get(name, 0) for name, gpus in self.view.free.items()}
        assert min(free.values()) >= 0
        state = RunningJob(one, 0.0, nodes, model, LIMITS[model][1] if limit is None else limit, reading, done)
        waiting = tuple(other for other in self.view.waiting if other.name != one.name)
        return Cluster(replace(self.view, running={**self.view.running, one.name: state}, free=free, waiting=waiting))

    def full(self, *nodes: str) -> Cluster:
        """With nodes of which all free GPUs are held by somebody."""
        cluster = self
        for name in nodes:
            if cluster.view.free[name]:
                cluster = cluster.running(job(f"holder-of-{name}", cluster.view.free[name]), name)
        return cluster

    def off(self, *nodes: str) -> Cluster:
        """With nodes that are switched off."""
        return Cluster(replace(self.view, off=frozenset(nodes)))

    def at(self, now: float) -> Cluster:
        """At a time."""
        return Cluster(replace(self.view, now=now))

    def with_carbon(self, grams_per_kwh: float | None) -> Cluster:
        """With electricity of a carbon intensity."""
        return Cluster(replace(self.view, grams_per_kwh=grams_per_kwh))

    def after(self, steps: Iterable[Step]) -> Cluster:
        """As it is when the steps are done; a step that cannot be done is an error."""
        cluster = self
        for step in steps:
            match step:
                case Stop(name):
                    cluster = cluster.without(name).waiting(cluster.view.running[name].job)
                case Start(name, nodes, limit):
                    one = next(other for other in cluster.view.waiting if other.name == name)
                    assert sum(nodes.values()) == one.gpus
                    assert len({cluster.view.nodes[node].gpu_model for node in nodes}) == 1
                    cluster = cluster.running(one, nodes, limit=limit)
                case SetLimit(name, limit):
                    state = replace(cluster.view.running[name], limit_watts=limit, reading=None)
                    cluster = Cluster(replace(cluster.view, running={**cluster.view.running, name: state}))
                case WakeUp():
                    pass
        return cluster

    def without(self, name: str) -> Cluster:
        """Without a running job: it has ended."""
        free = dict(self.view.free)
        for node, gpus in self.view.running[name].nodes.items():
            free[node] += gpus
        running = {other: state for other, state in self.view.running.items() if other != name}
        return Cluster(replace(self.view, running=running, free=free))

    def read(self, name: str, work_per_second: float, watts: float) -> Cluster:
        """With a reading of a running job: what each of its GPUs does at its present limit."""
        state = self.view.running[name]
        gpus = state.job.gpus
        reading = Reading(self.view.now, state.gpu_model, state.limit_watts, gpus, gpus * work_per_second, watts, 30.0)
        state = replace(state, reading=reading)
        return Cluster(replace(self.view, running={**self.view.running, name: state}))


def cluster(*, gpus: int = 8, **counts: int) -> Cluster:
    """So many nodes of each GPU model (`v100=2`), named v100-0, v100-1 and so on."""
    nodes = {
        f"{model}-{index}": SimNode(f"{model}-{index}", model.upper(), gpus, *LIMITS[model.upper()], 30.0, 350.0)
        for model, count in counts.items()
        for index in range(count)
    }
    free = {name: node.gpus for name, node in nodes.items()}
    return Cluster(View(now=0.0, waiting=(), running={}, nodes=nodes, free=free))


def starts(steps: Iterable[Step]) -> dict[str, dict[str, int]]:
    """Return where jobs are started."""
    return {step.job: dict(step.nodes) for step in steps if isinstance(step, Start)}


def limits(steps: Iterable[Step]) -> dict[str, float]:
    """Return the power limits that jobs are given, by starting them or later."""
    return {step.job: step.limit_watts for step in steps if isinstance(step, Start | SetLimit)}


def wake_ups(steps: Iterable[Step]) -> list[float]:
    """Return when the policy wants to be asked."""
    return [step.at for step in steps if isinstance(step, WakeUp)]


def stops(steps: Iterable[Step]) -> list[str]:
    """Return who is stopped."""
    return [step.job for step in steps if isinstance(step, Stop)]
