"""A `ClusterState` fed with builders, and what a cycle would see of it."""

from __future__ import annotations

from ballast.api.trainingjob import InvalidTrainingJob
from ballast.decide.actions import Action, WriteStatus
from ballast.decide.queueing import admit
from ballast.decide.snapshot import Job, Snapshot
from ballast.observe.cluster_state import ClusterState, Kind
from tests.builders import NOW, JobBuilder, NodeBuilder, PodBuilder


class Watched:
    """The state, a clock that stands still, and counters of what it called back."""

    def __init__(self) -> None:
        self.time = NOW
        self.wakes = 0
        self.invalid: list[InvalidTrainingJob] = []
        self.state = ClusterState(wake=self._woken, on_invalid=self.invalid.append, clock=lambda: self.time)

    def _woken(self) -> None:
        self.wakes += 1

    def sees(self, *objects: JobBuilder | NodeBuilder | PodBuilder) -> Watched:
        for obj in objects:
            self.state.observe(kind_of(obj), obj.manifest())
        return self

    def sees_job_of(self, job: JobBuilder, version: int = 1, **conditions: str) -> Watched:
        self.state.observe(Kind.JOB, job.job_manifest(version, **conditions))
        return self

    def snapshot(self, max_actions: int = 256) -> Snapshot:
        return self.state.snapshot(self.time, max_actions)

    def free(self, resource: str = "nvidia.com/gpu") -> dict[str, int]:
        return {node.name: node.free.get(resource, 0) for node in self.snapshot().nodes}

    def waiting(self) -> set[str]:
        return {job.name for lane in self.snapshot().lanes for job in lane.jobs}

    def changed(self) -> list[Job]:
        return list(self.snapshot().changed)

    def admits(self) -> WriteStatus:
        """Decide, and assume, the first admission."""
        [write] = admit(self.snapshot(), 1).writes
        self.state.assume(write)
        return write

    def answers(self, action: Action, *objects: JobBuilder | NodeBuilder | PodBuilder) -> Watched:
        self.state.settle(action, [(kind_of(obj), obj.manifest()) for obj in objects])
        return self


def kind_of(builder: JobBuilder | NodeBuilder | PodBuilder) -> Kind:
    match builder:
        case JobBuilder():
            return Kind.TRAINING_JOB
        case NodeBuilder():
            return Kind.NODE
        case PodBuilder():
            return Kind.POD
