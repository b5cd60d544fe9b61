"""Everything known about one TrainingJob, and how `decide` gets to see it.

A record holds what was observed of the job and its children, and what is assumed of actions under way. What must hold:
children count only in their job's own namespace, whatever labels they carry; what the operator assumes shows until
its answer is there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace

from ballast.api.jobstatus import Phase, TrainingJobStatus
from ballast.api.trainingjob import TrainingJob
from ballast.decide.actions import (
    AskForRefusal,
    CreateObjects,
    Expire,
    JobAction,
    ReleasePod,
    StopAttempt,
    Ungate,
    WriteStatus,
)
from ballast.decide.gang_request import GangRequest, PodSize
from ballast.decide.gpu_asks import HeldGpu
from ballast.decide.life.ends import avoided
from ballast.decide.policy import Policy
from ballast.decide.precedence import precedence
from ballast.decide.resources import Resources
from ballast.decide.snapshot import Job, Orphan, Pod, Workload


@dataclass(slots=True)
class Children:
    """What exists of a job in one namespace, by UID, in the order in which it appeared."""

    workloads: dict[str, Workload] = field(default_factory=dict)  # one per attempt; more while an old one is going
    pods: dict[str, Pod] = field(default_factory=dict)


@dataclass(slots=True)
class Record:
    """Everything known about one TrainingJob; the children may be seen before the job itself.

    Attributes:
        gang: what the template asks for.
        profile_key: under which its workload is learned.
        keeps_checkpoints: its trainer saves to a volume that outlives its pods.
        grown: what one of its pods asks for in fact, if the API server made it larger than the template.
        grown_at: when that was last seen; seconds since the epoch.
        assumed: the status that is being written.
        unreadable: the job exists and cannot be read.
        refused_pods: the attempt, and what the API server said when it was asked why pods are missing.
        failures: actions that failed in a row.
        rests_until: no action before; seconds since the epoch.
    """

    job: TrainingJob | None = None
    gang: GangRequest | None = None
    profile_key: str = ""
    keeps_checkpoints: bool = False
    problem: str | None = None
    grown: PodSize | None = None
    grown_at: float | None = None
    children: dict[str, Children] = field(default_factory=lambda: defaultdict(Children))
    assumed: TrainingJobStatus | None = None
    unreadable: bool = False
    creating: bool = False
    refused_objects: str | None = None
    refused_pods: tuple[int, str] | None = None
    ungating: frozenset[str] = frozenset()
    removing: frozenset[str] = frozenset()
    failures: int = 0
    rests_until: float | None = None

    def is_placing(self, attempt: int) -> bool:
        """Return whether the attempt is the job's latest and is being placed."""
        return self.job is not None and self.job.status.phase is Phase.PLACING and self.latest_attempt == attempt

    @property
    def latest_attempt(self) -> int:
        """The number of the job's latest attempt; 0 before the first."""
        attempts = self.job.status.attempts if self.job is not None else ()
        return attempts[-1].number if attempts else 0

    @property
    def is_childless(self) -> bool:
        """Whether nothing exists of the job."""
        return not any(children.workloads or children.pods for children in self.children.values())

    def held_pods(self, *, besides: str | None = None, leaving: bool = False) -> list[Orphan]:
        """Return the pods that carry Ballast's finalizer.

        Args:
            besides: the namespace whose pods are left out.
            leaving: whether to return those only that are being deleted.
        """
        return [
            Orphan(namespace, pod.name, pod.uid, pod.finalizer_position)
            for namespace, children in self.children.items()
            if namespace != besides
            for pod in children.pods.values()
            if pod.held and (pod.grace_over_at is not None or not leaving)
        ]

    def assume(self, action: JobAction) -> None:
        """Count an action as done while it is under way."""
        match action:
            case WriteStatus():
                self.assumed = action.status
            case CreateObjects():
                self.creating = True
            case Ungate():
                self.ungating |= {action.pod_uid}
            case StopAttempt():
                self.removing |= {action.workload_uid}
            case Expire():
                self.removing |= {action.job.metadata.uid}
            case AskForRefusal():
                self.refused_pods = self.latest_attempt, ""
            case ReleasePod():
                pass  # `HeldPods` counts these: the job goes on whatever becomes of them

    def drop_assumption(self, action: JobAction) -> None:
        """Count an action as no longer under way; whether it was done, what is observed tells."""
        match action:
            case WriteStatus():
                self.assumed = None
            case CreateObjects():
                self.creating = False
            case Ungate():
                self.ungating -= {action.pod_uid}
            case StopAttempt():
                self.removing -= {action.workload_uid}
            case Expire():
                self.removing -= {action.job.metadata.uid}
            case AskForRefusal() | ReleasePod():
                pass

    def reject(self, action: JobAction, invalid: str | None, forbidden: str | None) -> None:
        """Count an action as failed.

        Args:
            action: the action.
            invalid: what the API server said, if it will never do it.
            forbidden: what it said, if it won't do it as things are.
        """
        self.drop_assumption(action)
        if isinstance(action, CreateObjects):
            self.refused_objects = invalid
            self.refused_pods = (self.latest_attempt, forbidden) if forbidden else self.refused_pods
        elif isinstance(action, AskForRefusal):
            self.refused_pods = None

    def forget_growth(self, job: Job, now: float, after_seconds: float) -> float | None:
        """Forget in time how large the pods became: the LimitRange that did it may be gone.

        Returns:
            When that is due; None if there is nothing to forget.
        """
        if self.grown is None:
            return None
        if self.grown_at is None or not job.job.status.phase.is_waiting:
            self.grown_at = now
        due = self.grown_at + after_seconds
        if due <= now:
            self.grown, self.grown_at = None, None
        return due

    def view(
        self,
        uid: str,
        rank: int | None,
        policy: Policy,
        gpus_of: Callable[[str, str], tuple[HeldGpu, ...]] = lambda node, pod: (),
        priority: int | None = 0,
    ) -> Job | None:
        """Return the job as `decide` reads it, or None while the job itself is unknown.

        Args:
            uid: the job's UID.
            rank: of its priority class; None if there is no such class.
            policy: how much of a head start a class and a deadline give.
            gpus_of: returns the GPUs that a node's agent has seen a pod hold.
            priority: its class's value; None if there is no such class.
        """
        job = self.job
        if job is None:
            return None
        if self.assumed is not None:
            job = job.model_copy(update={"status": self.assumed})
        since = job.status.queued_at or job.metadata.creation_timestamp
        queued_at = since.timestamp() if since is not None else 0.0
        problem = self.problem
        # A class may go while the job holds something: that stays counted.
        is_unranked = rank is None and job.status.phase.is_waiting
        if is_unranked:
            problem = (
                f"spec.template.spec.priorityClassName: there is no PriorityClass {job.spec.priority_class!r}; "
                "create it or name one that exists (kubectl get priorityclasses)"
            )
        attempt = job.status.attempts[-1].number if job.status.attempts else 0
        own = self.children.get(job.metadata.namespace) or Children()
        pods = tuple(own.pods.values())
        refused = self.refused_pods
        return Job(
            job=job,
            uid=uid,
            queued_at=queued_at,
            precedence=precedence(job, queued_at, rank or 0, policy),
            gang=None if is_unranked else self._gang(job, [pod for pod in pods if pod.attempt == attempt]),
            problem=problem,
            workloads=tuple(own.workloads.values()),
            pods=pods,
            creating=self.creating,
            refused_objects=self.refused_objects,
            refused_pods=refused[1] if refused is not None and refused[0] == attempt else None,
            ungating=self.ungating,
            removing=self.removing,
            held_gpus={pod.uid: gpus for pod in pods if pod.node and (gpus := gpus_of(pod.node, pod.uid))},
            priority=priority,
            keeps_checkpoints=self.keeps_checkpoints,
        )

    def held(self, view: Job) -> Mapping[str, Resources]:
        """Return what the job holds of each node beyond what its bound pods hold already.

        While a status is being written, the one before counts too: another operator may still have to go by it.
        """
        held = reservation(view)
        if self.assumed is None or self.job is None:
            return held
        before = reservation(replace(view, job=self.job))
        return {
            node: dict(_larger(tuple(held.get(node, {}).items()), tuple(before.get(node, {}).items())))
            for node in {*held, *before}
        }

    def _gang(self, job: TrainingJob, pods: Iterable[Pod]) -> GangRequest | None:
        gang = self.gang
        if gang is None:
            return None
        for pod in pods:
            if pod.request is not None:
                larger = _larger(self.grown or gang.per_pod, pod.request)
                self.grown = larger if larger != gang.per_pod else None
        if self.grown is not None:
            gang = replace(gang, per_pod=self.grown)
        avoid = avoided(job.status.attempts)
        return replace(gang, avoid=avoid) if avoid else gang


def _larger(left: PodSize, right: PodSize) -> PodSize:
    """Return the larger amount of each resource."""
    total = dict(left)
    for name, amount in right:
        total[name] = max(total.get(name, 0), amount)
    return tuple(sorted(total.items()))


def reservation(job: Job) -> Mapping[str, Resources]:
    """Return what the job holds of each node beyond what its bound pods hold already."""
    status = job.job.status
    if job.gang is None or not status.attempts:
        return {}
    workload = job.workload
    winds_up = workload is not None and (workload.has_ended or workload.failing)
    if status.phase is Phase.PLACING and not winds_up:  # else its Job creates no more pods
        bound = {pod.index for pod in job.own_pods if pod.node is not None}
        indexes = [index for index in range(len(status.placement)) if index not in bound]
    elif status.phase in {Phase.PLACING, Phase.SUSPENDING}:
        # kube-scheduler may bind a pod that has lost its gate until it is gone, and one that seems to have it may have
        # lost it: the answer to the patch, or the news of it, is late.
        indexes = [pod.index for pod in job.own_pods if pod.node is None and not pod.has_ended]
    else:
        return {}
    held: dict[str, int] = defaultdict(int)
    for index in indexes:
        if index < len(status.placement):
            held[status.placement[index].node] += 1
    return {node: {name: amount * count for name, amount in job.gang.per_pod} for node, count in held.items()}


def nodes_of(job: Job) -> frozenset[str]:
    """Return the nodes whose changes concern the job."""
    # Whether its node answers tells what a pod's silence means.
    held = frozenset(pod.node for pod in job.pods if pod.held and pod.node is not None)
    if job.job.status.phase not in {Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING}:
        return held
    bound = {pod.node for pod in job.own_pods if pod.node is not None}
    return held.union(bound, (place.node for place in job.job.status.placement))
