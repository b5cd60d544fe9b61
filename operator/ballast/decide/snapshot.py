"""The frozen picture of the cluster that one cycle decides on.

`observe` builds it, `decide` reads it, nobody changes it. It is incremental by construction: `changed` holds
only the admitted jobs about which something changed since the last cycle, and waiting jobs stand in lanes of
equal requests, so that a cycle's work grows with what changed and with the number of *different* requests,
not with the number of jobs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ballast.api.conditions import Reason
from ballast.api.trainingjob import Objective, TrainingJob
from ballast.decide.gpu_models import GpuModel
from ballast.decide.resources import GPU, Resources


@dataclass(frozen=True, slots=True)
class Taint:
    """A node's taint; only NoSchedule and NoExecute keep pods away."""

    key: str
    value: str
    effect: str


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
        per_pod: (resource, amount) of one pod, sorted by resource; includes one of `pods`.
        node_selector: (label, value) pairs that a node must carry.
        node_terms: required node affinity: a node must match one of the terms; empty means no requirement.
        tolerations: the template's.
        objective: what to minimize among the eligible GPU models.
        max_slowdown_percent: how much slower than the fastest eligible GPU model the job may run.
    """

    replicas: int
    per_pod: tuple[tuple[str, int], ...]
    node_selector: tuple[tuple[str, str], ...] = ()
    node_terms: tuple[SelectorTerm, ...] = ()
    tolerations: tuple[Toleration, ...] = ()
    objective: Objective = Objective.MINIMIZE_ENERGY
    max_slowdown_percent: int = 10

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


@dataclass(frozen=True, slots=True)
class Node:
    """A node with what is left of it after every pod and every reservation.

    Attributes:
        free: allocatable less the requests of *every* pod bound to the node, Ballast's or not, less what is
            reserved for gangs that are being placed.
    """

    name: str
    ready: bool
    cordoned: bool
    labels: Mapping[str, str]
    taints: tuple[Taint, ...]
    gpu_model: GpuModel | None
    allocatable: Resources
    free: Resources


@dataclass(frozen=True, slots=True)
class Pod:
    """A training pod of an admitted job.

    Attributes:
        index: the Job completion index, which is also the torchrun node rank.
        gate_position: where Ballast's scheduling gate stands in `spec.schedulingGates`; None once it is off.
        affinity: the pod's `spec.affinity` as it stands, to which a placement is added; only while gated.
        exit_code: of the container `trainer`, once it has ended.
    """

    uid: str
    name: str
    index: int
    attempt: int
    node: str | None
    phase: str
    deleting: bool
    gate_position: int | None
    affinity: Mapping[str, Any] | None = None
    exit_code: int | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class Workload:
    """The `batch/v1` Job of one attempt: only what `decide` needs of it."""

    uid: str
    name: str
    attempt: int
    complete: bool
    failed: bool
    message: str = ""


@dataclass(frozen=True, slots=True)
class Job:
    """A TrainingJob as the control loop sees it.

    Attributes:
        gang: what it asks for; None while its spec cannot be used, and then `problem` says why.
        creating: its Service and Job are being applied at this moment: do not apply them again.
        refused_objects: what the API server said, if it will never take the Service or Job.
        ungating: UIDs of pods whose patch is in flight.
        queued_at: seconds since the epoch; the order of the queue.
    """

    job: TrainingJob
    uid: str
    queued_at: float
    gang: GangRequest | None
    problem: str | None = None
    workload: Workload | None = None
    pods: tuple[Pod, ...] = ()
    creating: bool = False
    refused_objects: str | None = None
    ungating: frozenset[str] = field(default=frozenset())

    @property
    def order(self) -> tuple[float, str, str]:
        """The place in the queue: oldest first, and by name among those of the same second."""
        return self.queued_at, self.namespace, self.name

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.metadata.name

    @property
    def namespace(self) -> str:
        """The job's namespace."""
        return self.job.metadata.namespace


@dataclass(frozen=True, slots=True)
class Lane:
    """Waiting jobs with the same request, oldest first: if the first does not fit, none does."""

    gang: GangRequest
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a gang has to wait: a CamelCase reason, and a sentence with numbers."""

    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one cycle decides on.

    Attributes:
        now: seconds since the epoch.
        nodes: every node, sorted by name.
        lanes: every waiting job.
        changed: admitted or ended jobs about which something changed since the last cycle.
        review: waiting jobs whose condition is to be checked: those that changed, and a bounded slice of the
            others in turn, so that every condition is brought up to date in the end.
        refused: requests that did not fit when they were last tried, with the reason; nothing has become free
            since, so that they need not be tried again.
        max_actions: how many actions may be taken, because the executor's queue is bounded.
    """

    now: float
    nodes: tuple[Node, ...]
    lanes: tuple[Lane, ...]
    changed: tuple[Job, ...]
    review: tuple[Job, ...]
    refused: Mapping[GangRequest, Refusal]
    max_actions: int
