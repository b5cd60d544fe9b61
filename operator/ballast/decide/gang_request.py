"""What a gang asks of the cluster, and what its placement depends on beside the cluster.

Frozen values. What must hold: requests that are equal are equal in all that placement looks at: they share a lane.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import TypeAlias

from ballast.api.trainingjob import Objective
from ballast.decide.resources import GPU, Resources

PodSize: TypeAlias = tuple[tuple[str, int], ...]
"""(resource, amount) of one pod, sorted by resource."""


@dataclass(frozen=True, slots=True)
class Toleration:
    """A template's toleration; an empty key with operator Exists tolerates everything."""

    key: str
    operator: str
    value: str
    effect: str


@dataclass(frozen=True, slots=True)
class Requirement:
    """One expression of a node selector term: `key operator values`."""

    key: str
    operator: str
    values: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SelectorTerm:
    """A node selector term: all label expressions and all field expressions must hold."""

    labels: tuple[Requirement, ...]
    fields: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True)
class GangRequest:
    """What a gang asks of the cluster. Equal requests compare equal: they share a lane.

    Attributes:
        replicas: pods in the gang.
        per_pod: what one pod asks for; includes one of `pods`.
        node_selector: (label, value) pairs that a node must carry.
        node_terms: required node affinity: a node must match one of the terms; empty means no requirement.
        tolerations: the template's.
        objective: what to minimize among the eligible GPU models.
        max_slowdown_percent: how much slower than the fastest eligible GPU model the job may run.
        avoid: nodes on which the last attempts got stuck, sorted: used only if no others have room.
        workload: whose energy profiles are its own: namespace and profile key; None for one that has none.
        work_seconds: how long its work takes on the fastest GPU model at the limit that was found, as somebody said;
            None if nobody did.
        has_deadline: whether it is to be done by some time.
        power_limit_watts: that the user set for each GPU; None if nobody did.
        is_tuned: whether Ballast chooses that limit.
        namespace: the job's, for its fair share: where it is placed does not depend on it.
    """

    replicas: int
    per_pod: PodSize
    node_selector: tuple[tuple[str, str], ...] = ()
    node_terms: tuple[SelectorTerm, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    objective: Objective = Objective.MINIMIZE_ENERGY
    max_slowdown_percent: int = 10
    avoid: tuple[str, ...] = ()
    workload: tuple[str, str] | None = None
    work_seconds: float | None = None
    has_deadline: bool = False
    power_limit_watts: float | None = None
    is_tuned: bool = True
    namespace: str = ""

    @property
    def needs(self) -> Hashable:
        """All that its placement depends on, but for what is known of its workload.

        Requests of two namespaces with equal needs fit, or don't, alike, where nothing is.
        """
        return (
            self.replicas,
            self.per_pod,
            self.node_selector,
            self.node_terms,
            self.tolerations,
            self.objective,
            self.max_slowdown_percent,
            self.avoid,
            self.work_seconds,
            self.has_deadline,
            self.power_limit_watts,
            self.is_tuned,
        )

    @property
    def resources(self) -> Resources:
        """The request of one pod."""
        return dict(self.per_pod)

    @property
    def constraints(self) -> Hashable:
        """What decides on which nodes it may run at all, however full they are."""
        return self.node_selector, self.node_terms, self.tolerations, self.gpus_per_pod > 0

    @property
    def gpus_per_pod(self) -> int:
        """GPUs of one pod; 0 for a job that trains on the CPU."""
        return dict(self.per_pod).get(GPU, 0)

    @property
    def gpus(self) -> int:
        """GPUs of the gang; 0 for one that trains on CPUs."""
        return self.replicas * self.gpus_per_pod

    @property
    def payer(self) -> str:
        """The namespace on whose fair share its GPUs count; empty for a gang that takes none."""
        return self.namespace if self.gpus_per_pod else ""

    @property
    def size(self) -> int:
        """GPUs of the gang; a pod without GPUs counts as one."""
        return self.replicas * max(self.gpus_per_pod, 1)
