"""The frozen picture of the cluster that one cycle decides on.

`observe` builds it, `decide` reads it, nobody changes it. It is incremental by construction: `changed` holds
only the admitted jobs about which something changed since the last cycle, and waiting jobs stand in lanes of
equal requests, so that a cycle's work grows with what changed and with the number of *different* requests,
not with the number of jobs.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from ballast.api.conditions import Reason
from ballast.api.energyprofile import EnergyProfile
from ballast.api.finalreading import FinalReading
from ballast.api.trainingjob import TrainingJob
from ballast.decide.fair_share import NO_SHARES, FairShares
from ballast.decide.gang_request import GangRequest, PodSize
from ballast.decide.gpu_asks import HeldGpu, NodeView
from ballast.decide.gpu_models import GpuModel
from ballast.decide.measurement import Learned, Measurement
from ballast.decide.model.prediction import GpuRange
from ballast.decide.model.prior import Prior
from ballast.decide.node import Node, Release
from ballast.decide.options import Weighed
from ballast.decide.policy import Policy
from ballast.decide.telemetry import Telemetry
from ballast.decide.vacancies import Vacancy

Order: TypeAlias = tuple[float, str, str]
"""A place in the queue, least first: since when it counts as queued, and by namespace and name in the same second."""


@dataclass(frozen=True, slots=True)
class Pod:
    """A training pod of an admitted job.

    Attributes:
        index: the Job completion index, which is also the torchrun node rank.
        deleting: somebody deleted it before its trainer had ended.
        gate_position: where Ballast's scheduling gate stands in `spec.schedulingGates`; None once it is off.
        affinity: the pod's `spec.affinity` as it stands, to which a placement is added; only while gated.
        request: what it asks for, as the API server made it; only while gated.
        exit_code: of the container `trainer`, once it has ended.
        message: what the trainer, or else the kubelet, said at its end.
        disruption: who ended or ends it, and why, if that was the cluster and not the trainer; empty otherwise.
        stuck: why it does not start.
        grace_over_at: when the kubelet kills it, seconds since the epoch; None unless it is being deleted, before or
            after its end.
        forced: it is being deleted without any grace.
        held: it carries the finalizer that keeps it until its last reading is in the ledger.
        finalizer_position: where that stands in `metadata.finalizers`.
        began: one of its containers ran, at some time.
        ended_at: when the last of its containers ended, or else when its conditions changed last, seconds since the
            epoch; None while one may run, or if nobody says.
        last_words: the newest that its exporter said at an end of its own.
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
    request: PodSize | None = None
    exit_code: int | None = None
    message: str = ""
    disruption: str = ""
    stuck: Stuck | None = None
    grace_over_at: float | None = None
    forced: bool = False
    held: bool = False
    finalizer_position: int = 0
    began: bool = False
    ended_at: float | None = None
    last_words: FinalReading | None = None

    @property
    def has_ended(self) -> bool:
        """Whether its containers are done, so that it holds nothing."""
        return self.phase in {"Succeeded", "Failed"}


@dataclass(frozen=True, slots=True)
class Stuck:
    """Why a pod does not start.

    Attributes:
        by_itself: whether another node would not help: its image or configuration is at fault.
    """

    reason: str
    message: str
    by_itself: bool


@dataclass(frozen=True, slots=True)
class Workload:
    """The `batch/v1` Job of one attempt: only what `decide` needs of it.

    Attributes:
        failing: it has given up and waits for its last pods to end.
    """

    uid: str
    name: str
    attempt: int
    complete: bool
    failed: bool
    message: str = ""
    failing: bool = False
    deleting: bool = False

    @property
    def has_ended(self) -> bool:
        """Whether none of its pods will run any more."""
        return self.complete or self.failed


@dataclass(frozen=True, slots=True)
class Orphan:
    """A pod that is held for the ledger of a job that does not exist any more."""

    namespace: str
    name: str
    uid: str
    finalizer_position: int = 0


@dataclass(frozen=True, slots=True)
class Ahead:
    """What stands before a waiting job in the queue, itself included.

    Attributes:
        jobs: its place, from 1.
        gpus: GPUs that these jobs ask for together; a pod without GPUs counts as one.
        put_back_seconds: how much later it counts as queued by fair share, if it stands further back for that; else 0.
    """

    jobs: int
    gpus: int
    put_back_seconds: int = 0


@dataclass(frozen=True, slots=True)
class Job:
    """A TrainingJob as the control loop sees it.

    Attributes:
        queued_at: since when it waits its turn, seconds since the epoch.
        precedence: the order of the queue, least first: `queued_at`, less the head starts that its priority class and
            its deadline give.
        gang: what it asks for; None while its spec cannot be used, and then `problem` says why.
        workloads: the Jobs of all attempts that still exist.
        creating: its Service and Job are being applied at this moment: do not apply them again.
        refused_objects: what the API server said, if it will never take the Service or Job.
        refused_pods: what the API server says of pods that are missing: None if it was not asked, else its words.
        ungating: UIDs of pods whose patch is in flight.
        removing: UIDs of Jobs whose deletion is in flight; its own UID if it is being deleted itself.
        ahead: its place in the queue; only where a cycle reviews it.
        held_gpus: by pod UID, the GPUs that agents have seen its pods hold.
        releasing: UIDs of pods from which the finalizer is being taken.
        agents_words: by pod UID, what the agents say that pods used which have ended.
        metered_nodes: those nodes of held pods that have an agent, which will speak.
        known_readings: by pod UID, the last that Prometheus knows of pods that went without a word.
        unheard: by pod UID, since when this operator has waited for a word of a pod that is over; seconds since the
            epoch.
        telemetry: what Prometheus knows of its latest attempt; None if nothing.
        learned: what profiles say of its workload on its GPU model; None without GPUs, or while that is not known.
        measurement: the newest that is complete; handed out in one snapshot only.
        priority: its class's value, which alone says who may preempt whom; None if there is no such class.
        keeps_checkpoints: its trainer saves to a volume that outlives its pods, so that it may be stopped and go on.
    """

    job: TrainingJob
    uid: str
    queued_at: float
    precedence: float
    gang: GangRequest | None
    problem: str | None = None
    workloads: tuple[Workload, ...] = ()
    pods: tuple[Pod, ...] = ()
    creating: bool = False
    refused_objects: str | None = None
    refused_pods: str | None = None
    ungating: frozenset[str] = field(default=frozenset())
    removing: frozenset[str] = field(default=frozenset())
    ahead: Ahead | None = None
    held_gpus: Mapping[str, tuple[HeldGpu, ...]] = field(default_factory=dict)
    releasing: frozenset[str] = field(default=frozenset())
    agents_words: Mapping[str, FinalReading] = field(default_factory=dict)
    metered_nodes: frozenset[str] = field(default=frozenset())
    known_readings: Mapping[str, FinalReading] = field(default_factory=dict)
    unheard: Mapping[str, float] = field(default_factory=dict)
    telemetry: Telemetry | None = None
    learned: Learned | None = None
    measurement: Measurement | None = None
    priority: int | None = 0
    keeps_checkpoints: bool = False

    @property
    def order(self) -> Order:
        """The place in the queue before fair share."""
        return self.precedence, self.namespace, self.name

    @property
    def name(self) -> str:
        """The job's name."""
        return self.job.metadata.name

    @property
    def namespace(self) -> str:
        """The job's namespace."""
        return self.job.metadata.namespace

    @property
    def attempt(self) -> int:
        """The number of the latest attempt; 0 before the first."""
        return self.job.status.attempts[-1].number if self.job.status.attempts else 0

    @property
    def workload(self) -> Workload | None:
        """The Job of the latest attempt; of two the one that appeared later."""
        return next((w for w in reversed(self.workloads) if w.attempt == self.attempt), None)

    @property
    def own_pods(self) -> tuple[Pod, ...]:
        """The pods of the latest attempt."""
        return tuple(pod for pod in self.pods if pod.attempt == self.attempt)


@dataclass(frozen=True, slots=True)
class Lane:
    """Waiting jobs of a namespace with the same request, oldest first: if the first does not fit, none does."""

    gang: GangRequest
    jobs: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Claim:
    """A waiting job for which running ones are stopped, as its `status.preemption` says.

    Attributes:
        is_settled: no write about it is under way: it may be placed.
        victims: those of the attempts to be stopped that still hold something.
    """

    job: Job
    is_settled: bool
    victims: tuple[Job, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a gang has to wait.

    Attributes:
        reason: CamelCase.
        message: a sentence with numbers.
        weighed: the options that there were; None where there were none to compare.
        waits_for: the GPU model that it waits for; None if it waits for none.
    """

    reason: Reason
    message: str
    weighed: Weighed | None = None
    waits_for: GpuModel | None = None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Everything that one cycle decides on.

    Attributes:
        now: seconds since the epoch.
        nodes: every node, sorted by name.
        lanes: every waiting job.
        changed: jobs that are not merely waiting for capacity and about which something changed since the last
            cycle, or whose time has come.
        review: waiting jobs whose condition is to be checked: those that changed, and a bounded slice of the
            others in turn, so that every condition is brought up to date in the end.
        refused: requests that did not fit when they were last tried, with the reason; nothing has become free
            since, so that they need not be tried again.
        powers: nodes about whose power, or about whose jobs' wishes for it, something changed since the last cycle.
        shares: which namespaces use more GPUs than their fair share, so that their jobs count as queued later.
        gpus_per_second: the pace of the queue: GPUs of the gangs admitted lately; None while there is none to go by.
        orphans: pods that are held for the ledger of a job that is gone.
        profiles: by namespace and profile key, the energy profiles of what waiting jobs run, on whatever GPU model.
        releases: by node name, what running jobs will give back, the first first.
        priors: by profile key, what the energy model assumes in place of its own prior: a simulation leaves out what it
            tests.
        vacancies: nodes of which something changed that their mark depends on, or whose time to be marked has come.
        marking: nodes about whose mark nothing is to be decided: a write is under way, or one has just failed.
        telemetry_problem: why Prometheus tells nothing, or not all; None if it does.
        telemetry_asked_at: when this operator asked it last, whatever came of it; None if it has not yet.
        running: jobs that run and about which no write is under way, if a waiting job's priority is above theirs.
        claims: waiting jobs for which others are stopped, the oldest claim first.
        max_actions: how many actions may be taken, because the executor's queue is bounded.
        max_explanations: how many of them may be writes that only explain.
    """

    now: float
    nodes: tuple[Node, ...]
    lanes: tuple[Lane, ...]
    changed: tuple[Job, ...]
    review: tuple[Job, ...]
    refused: Mapping[GangRequest, Refusal]
    max_actions: int
    max_explanations: int
    policy: Policy
    shares: FairShares = NO_SHARES
    gpus_per_second: float | None = None
    powers: tuple[NodeView, ...] = ()
    orphans: tuple[Orphan, ...] = ()
    profiles: Mapping[tuple[str, str], tuple[EnergyProfile, ...]] = field(default_factory=dict)
    releases: Mapping[str, Sequence[Release]] = field(default_factory=dict)
    priors: Mapping[str, Prior] = field(default_factory=dict)
    vacancies: tuple[Vacancy, ...] = ()
    marking: frozenset[str] = frozenset()
    telemetry_problem: str | None = None
    telemetry_asked_at: float | None = None
    running: tuple[Job, ...] = ()
    claims: tuple[Claim, ...] = ()


@dataclass(frozen=True, slots=True)
class Context:
    """What the next step of a job depends on beside the job.

    Attributes:
        now: seconds since the epoch.
        nodes: every node by name.
        telemetry_problem: as in the snapshot, likewise `telemetry_asked_at`.
        renewed: by the job's UID, why what was known of its workload was dropped in this cycle.
        boards_of: the GPU models that a gang could have, and their boards, remembered where that was found out once in
            a cycle.
        curves: which curves the cycle has needed, of which it makes a limited number.
    """

    now: float
    nodes: Mapping[str, Node]
    policy: Policy
    telemetry_problem: str | None = None
    telemetry_asked_at: float | None = None
    renewed: Mapping[str, str] = field(default_factory=dict)
    boards_of: dict[GangRequest, Mapping[GpuModel, GpuRange | None]] = field(default_factory=dict, compare=False)
    curves: set[Hashable] = field(default_factory=set, compare=False)
