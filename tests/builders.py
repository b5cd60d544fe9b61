"""Builders of the operator's inputs that read as sentences: `job("sweep").with_gpus(4).replicas(2).waiting_since(10)`.

Every builder is frozen: each step returns a new one. It can be had in three forms: as the API server's JSON
(`manifest()`), as what `decide` reads (`build()`), and a job also as what it asks for (`gang()`). What a test does
not say has a harmless default.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from ballast.act.manifests import attempt_name, workload
from ballast.api.conditions import ConditionType, Reason, set_condition
from ballast.api.exporter import CONTAINER
from ballast.api.finalreading import FINALIZER
from ballast.api.jobstatus import Attempt, Outcome, Phase, PodPlacement, TrainingJobStatus
from ballast.api.labels import (
    ATTEMPT_LABEL,
    COMPLETION_INDEX,
    EMPTY,
    EMPTY_CONDITION,
    GPU_PRODUCT_LABEL,
    JOB_UID_LABEL,
)
from ballast.api.podtemplate import PLACEMENT_GATE
from ballast.api.trainingjob import TrainingJob
from ballast.decide.fair_share import fair_shares
from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_asks import HeldGpu
from ballast.decide.gpu_models import gpu_model
from ballast.decide.node import Node, Taint
from ballast.decide.policy import Policy
from ballast.decide.precedence import precedence
from ballast.decide.resources import CPU, GPU, PODS
from ballast.decide.snapshot import Ahead, Context, Job, Lane, Pod, Refusal, Snapshot, Workload
from ballast.decide.vacancies import NO_MARK, Mark
from ballast.observe import parsing
from ballast.observe.checkpoints import keeps_checkpoints

JsonObject = dict[str, Any]

NOW = 1_800_000_000.0
"""The time at which tests decide, in seconds since the epoch."""

GIB = 2**30

PRODUCTS = {
    "K80": "Tesla-K80",
    "P100": "Tesla-P100-PCIE-16GB",
    "V100": "Tesla-V100-SXM2-16GB",
    "A40": "NVIDIA-A40",
    "A100": "NVIDIA-A100-SXM4-80GB",
    "H100": "NVIDIA-H100-80GB-HBM3",
}
"""What GPU feature discovery calls each GPU model."""


def at(seconds: float) -> datetime:
    """Return the moment that lies `seconds` after `NOW`; negative is before."""
    return datetime.fromtimestamp(NOW + seconds, UTC)


def rfc3339(time: datetime) -> str:
    """Return a time as the API server writes it."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


# -- nodes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NodeBuilder:
    """A node; by default ready, with 32 CPUs, 128 GiB and no GPU."""

    name: str
    product: str | None = None
    gpus: int = 0
    cpus: float = 32
    memory_gib: int = 128
    pods: int = 110
    labels: tuple[tuple[str, str], ...] = ()
    taints: tuple[Taint, ...] = ()
    ready: bool = True
    is_cordoned: bool = False
    taken: tuple[tuple[str, int], ...] = ()
    uid: str = ""
    version: int = 1
    mark: Mark = NO_MARK

    def with_gpus(self, model: str, count: int) -> NodeBuilder:
        """With `count` GPUs of a model of the table, or of any other product name."""
        return replace(self, product=PRODUCTS.get(model, model), gpus=count)

    def with_cpus(self, cpus: float, memory_gib: int = 128) -> NodeBuilder:
        """With as many CPUs, and so much memory."""
        return replace(self, cpus=cpus, memory_gib=memory_gib)

    def for_pods(self, pods: int) -> NodeBuilder:
        """With room for so many pods."""
        return replace(self, pods=pods)

    def labelled(self, **labels: str) -> NodeBuilder:
        """With labels."""
        return replace(self, labels=(*self.labels, *labels.items()))

    def tainted(self, key: str, value: str = "", effect: str = "NoSchedule") -> NodeBuilder:
        """With a taint."""
        return replace(self, taints=(*self.taints, Taint(key, value, effect)))

    def not_ready(self) -> NodeBuilder:
        """Whose kubelet does not answer."""
        return replace(self, ready=False)

    def cordoned(self) -> NodeBuilder:
        """That an admin keeps new pods away from."""
        return replace(self, is_cordoned=True)

    def using(self, gpus: int = 0, cpus: float = 0, memory_gib: int = 0, pods: int = 0) -> NodeBuilder:
        """Of which so much is taken already; only in what `decide` sees."""
        taken = {GPU: gpus, CPU: round(cpus * 1000), "memory": memory_gib * GIB, PODS: pods}
        return replace(self, taken=tuple(taken.items()))

    def at_version(self, version: int) -> NodeBuilder:
        """As the API server had it at a resource version."""
        return replace(self, version=version)

    def known_as(self, uid: str) -> NodeBuilder:
        """With another UID: another node of the same name."""
        return replace(self, uid=uid)

    def marked_empty(self, since: float) -> NodeBuilder:
        """Marked as empty since so many seconds after `NOW`."""
        return replace(self, mark=Mark(labelled=True, empty=True, since=NOW + since))

    def marked_in_use(self, since: float = 0) -> NodeBuilder:
        """Whose condition says that it is not empty."""
        return replace(self, mark=Mark(labelled=False, empty=False, since=NOW + since))

    def manifest(self) -> JsonObject:
        """Return the node as the API server has it."""
        allocatable = {CPU: f"{round(self.cpus * 1000)}m", "memory": f"{self.memory_gib}Gi", PODS: str(self.pods)}
        if self.gpus:
            allocatable[GPU] = str(self.gpus)
        spec: JsonObject = {}
        if self.is_cordoned:
            spec["unschedulable"] = True
        if self.taints:
            spec["taints"] = [{"key": t.key, "value": t.value, "effect": t.effect} for t in self.taints]
        conditions = [{"type": "Ready", "status": "True" if self.ready else "Unknown"}]
        if self.mark.since is not None:
            since = rfc3339(at(self.mark.since - NOW))
            conditions.append({"type": EMPTY_CONDITION, "status": str(self.mark.empty), "lastTransitionTime": since})
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "uid": self._uid,
                "resourceVersion": str(self.version),
                "labels": {**self._labels(), **({EMPTY: "true"} if self.mark.labelled else {})},
            },
            "spec": spec,
            "status": {"allocatable": allocatable, "conditions": conditions},
        }

    def build(self) -> Node:
        """Return the node as `decide` reads it."""
        allocatable = {CPU: round(self.cpus * 1000), "memory": self.memory_gib * GIB, PODS: self.pods}
        if self.gpus:
            allocatable[GPU] = self.gpus
        taken = dict(self.taken)
        return Node(
            name=self.name,
            ready=self.ready,
            cordoned=self.is_cordoned,
            labels=self._labels(),
            taints=self.taints,
            gpu_model=gpu_model(self.product) if self.product is not None and self.gpus else None,
            allocatable=allocatable,
            free={name: amount - taken.get(name, 0) for name, amount in allocatable.items()},
            uid=self._uid,
            mark=self.mark,
        )

    @property
    def _uid(self) -> str:
        return self.uid or f"uid-of-node-{self.name}"

    def _labels(self) -> dict[str, str]:
        labels = dict(self.labels)
        if self.product is not None:
            labels[GPU_PRODUCT_LABEL] = self.product
        return labels


def node(name: str) -> NodeBuilder:
    """Begin a node."""
    return NodeBuilder(name)


# -- TrainingJobs -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class JobBuilder:
    """A TrainingJob; by default one pod that trains on one CPU, waiting since `NOW`."""

    name: str
    namespace: str = "team"
    uid: str = ""
    created: float = 0.0
    version: int = 1
    generation: int = 1
    spec: Mapping[str, Any] = field(default_factory=dict)
    energy: Mapping[str, Any] = field(default_factory=dict)
    pod_spec: Mapping[str, Any] = field(default_factory=dict)
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    trainer: Mapping[str, Any] = field(default_factory=dict)
    limits: Mapping[str, str] = field(default_factory=lambda: {CPU: "1"})
    status: TrainingJobStatus = field(default_factory=TrainingJobStatus)
    pods: tuple[PodBuilder, ...] = ()
    workloads: tuple[Workload, ...] = ()
    creating: bool = False
    refused_objects: str | None = None
    refused_pods: str | None = None
    ungating: frozenset[str] = frozenset()
    removing: frozenset[str] = frozenset()
    rank: int = 0
    priority: int = 0
    place: Ahead | None = None
    deleted: bool = False
    held_gpus: Mapping[str, tuple[HeldGpu, ...]] = field(default_factory=dict)
    heard: Mapping[str, Any] = field(default_factory=dict)

    # what it asks for

    def with_gpus(self, count: int) -> JobBuilder:
        """Each of whose pods asks for GPUs."""
        return replace(self, limits={**self.limits, GPU: str(count)})

    def with_cpus(self, cpus: float | str, memory: str | None = None) -> JobBuilder:
        """Each of whose pods asks for CPUs and memory."""
        limits = {**self.limits, CPU: str(cpus)}
        return replace(self, limits=limits if memory is None else {**limits, "memory": memory})

    def replicas(self, count: int) -> JobBuilder:
        """With so many pods in its gang."""
        return replace(self, spec={**self.spec, "replicas": count})

    def launched_by(self, launcher: str) -> JobBuilder:
        """With a launcher."""
        return replace(self, spec={**self.spec, "launcher": launcher})

    def with_spec(self, **fields: Any) -> JobBuilder:
        """With any fields of the spec, as manifests spell them."""
        return replace(self, spec={**self.spec, **fields})

    def suspended_by_its_owner(self) -> JobBuilder:
        """With `suspend: true`."""
        return self.with_spec(suspend=True)

    def of_priority(self, name: str, rank: int) -> JobBuilder:
        """With a PriorityClass below which there are `rank` others."""
        return replace(self.with_pod_spec(priorityClassName=name), rank=rank)

    def valued(self, priority: int) -> JobBuilder:
        """Of a PriorityClass with that value, which gives no head start in the queue."""
        return replace(self.with_pod_spec(priorityClassName=f"class-{priority}".replace("--", "-")), priority=priority)

    def keeping_checkpoints(self) -> JobBuilder:
        """Whose trainer saves to a volume that outlives its pods."""
        mounts = [{"name": "checkpoints", "mountPath": "/checkpoints"}]
        volumes = [{"name": "checkpoints", "persistentVolumeClaim": {"claimName": "checkpoints"}}]
        saving = self.with_env(BALLAST_CHECKPOINT_DIR="/checkpoints").with_pod_spec(volumes=volumes)
        return replace(saving, trainer={**saving.trainer, "volumeMounts": mounts})

    def minimizing(self, objective: str) -> JobBuilder:
        """With an objective of placement."""
        return replace(self, energy={**self.energy, "objective": objective})

    def due_in(self, seconds: float) -> JobBuilder:
        """With a deadline so many seconds after `NOW`."""
        return replace(self, energy={**self.energy, "deadline": rfc3339(at(seconds))})

    def at_point(self, **operating_point: Any) -> JobBuilder:
        """With an operating point, as manifests spell it."""
        return replace(self, energy={**self.energy, "operatingPoint": operating_point})

    def expecting(self, duration: str) -> JobBuilder:
        """Of which its user says how long it takes."""
        return replace(self, energy={**self.energy, "expectedDuration": duration})

    def slowed_by_at_most(self, percent: int) -> JobBuilder:
        """With a limit on the slowdown."""
        return replace(self, energy={**self.energy, "maxSlowdownPercent": percent})

    def tolerating(self, **toleration: str) -> JobBuilder:
        """With one more toleration."""
        return self.with_pod_spec(tolerations=[*self.pod_spec.get("tolerations", ()), toleration])

    def selecting(self, **labels: str) -> JobBuilder:
        """With a node selector."""
        return self.with_pod_spec(nodeSelector=labels)

    def requiring(self, *terms: Mapping[str, Any]) -> JobBuilder:
        """With required node affinity: any of the terms."""
        required = {"nodeSelectorTerms": [dict(term) for term in terms]}
        return self.with_pod_spec(
            affinity={"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": required}}
        )

    def with_pod_spec(self, **fields: Any) -> JobBuilder:
        """With any fields of the pod's spec."""
        return replace(self, pod_spec={**self.pod_spec, **fields})

    def with_pod_labels(self, **labels: str) -> JobBuilder:
        """With labels on its pods."""
        return replace(self, pod_labels={**self.pod_labels, **labels})

    def with_env(self, **variables: str) -> JobBuilder:
        """With environment variables of the trainer."""
        env = [{"name": name, "value": value} for name, value in variables.items()]
        return replace(self, trainer={**self.trainer, "env": env})

    # where it stands

    def in_namespace(self, namespace: str) -> JobBuilder:
        """In another namespace than `team`."""
        return replace(self, namespace=namespace)

    def known_as(self, uid: str) -> JobBuilder:
        """With another UID: another job of the same name."""
        return replace(self, uid=uid)

    def waiting_since(self, seconds: float) -> JobBuilder:
        """Created so many seconds after `NOW`; negative is before."""
        return replace(self, created=seconds)

    def at_version(self, version: int) -> JobBuilder:
        """As the API server had it at a resource version."""
        return replace(self, version=version)

    def at_generation(self, generation: int) -> JobBuilder:
        """With a spec that was changed."""
        return replace(self, generation=generation)

    def told(self, reason: Reason, generation: int | None = None) -> JobBuilder:
        """Queued, with a condition that says why."""
        return self._with_status(
            phase=Phase.QUEUED,
            reason=reason.value,
            queued_at=at(self.created),
            conditions=set_condition(
                self.status.conditions,
                ConditionType.ADMITTED,
                False,
                reason,
                "as told before",
                generation=self.generation if generation is None else generation,
                now=at(self.created),
            ),
        )

    def placed_on(self, *nodes: str, attempt: int = 1) -> JobBuilder:
        """Admitted: capacity is reserved on a node for each pod."""
        return self._with_status(
            phase=Phase.PLACING,
            reason=Reason.RESERVED.value,
            queued_at=at(self.created),
            nodes=",".join(dict.fromkeys(nodes)),
            placement=tuple(
                PodPlacement(pod=f"{self.name}-{attempt}-{index}", node=name) for index, name in enumerate(nodes)
            ),
            attempts=(Attempt(number=attempt, started_at=at(0)),),
            conditions=set_condition(
                (), ConditionType.ADMITTED, True, Reason.RESERVED, "", generation=self.generation, now=at(0)
            ),
        )

    def running_on(self, *nodes: str) -> JobBuilder:
        """Running, with the conditions that go with it."""
        placed = self.placed_on(*nodes)
        conditions = placed.status.conditions
        attempt = placed.status.attempts[-1].model_copy(update={"placed_at": at(0), "running_at": at(0)})
        for kind, reason in (
            (ConditionType.PLACED, Reason.PODS_BOUND),
            (ConditionType.RUNNING, Reason.PODS_RUNNING),
        ):
            conditions = set_condition(conditions, kind, True, reason, "", generation=self.generation, now=at(0))
        return placed._with_status(phase=Phase.RUNNING, started_at=at(0), attempts=(attempt,), conditions=conditions)

    def stopping(self, outcome: Outcome, reason: Reason, message: str = "as told before") -> JobBuilder:
        """Whose attempt is being stopped."""
        attempt = self.status.attempts[-1].model_copy(
            update={"outcome": outcome, "reason": reason.value, "message": message, "stopped_at": at(0)}
        )
        attempts = (*self.status.attempts[:-1], attempt)
        return self._with_status(phase=Phase.SUSPENDING, reason=reason.value, attempts=attempts)

    def suspended(self) -> JobBuilder:
        """That nothing runs for, because its owner suspended it."""
        return self.suspended_by_its_owner()._with_status(phase=Phase.SUSPENDED, reason=Reason.SUSPENDED.value)

    def after(self, *attempts: Attempt) -> JobBuilder:
        """With these attempts behind it, and waiting again."""
        return self._with_status(phase=Phase.QUEUED, attempts=attempts, queued_at=at(self.created))

    def with_status(self, **fields: Any) -> JobBuilder:
        """With any fields of the status."""
        return self._with_status(**fields)

    def ended(self, phase: Phase) -> JobBuilder:
        """Ended, well or not."""
        running = self.running_on(*["a"] * self.gang().replicas)
        outcome = Outcome.SUCCEEDED if phase is Phase.SUCCEEDED else Outcome.FAILED
        attempt = running.status.attempts[-1].model_copy(update={"outcome": outcome, "finished_at": at(1)})
        return running._with_status(phase=phase, finished_at=at(1), attempts=(attempt,))

    def being_deleted(self) -> JobBuilder:
        """That somebody deleted while a finalizer holds it."""
        return replace(self, deleted=True)

    # what exists of it

    def with_job(self, *, of_attempt: int | None = None, message: str = "", **state: bool) -> JobBuilder:
        """Whose `batch/v1` Job of the latest attempt, or of another one, exists.

        Args:
            of_attempt: the attempt; None for the latest.
            message: why it failed.
            **state: `complete`, `failed`, `failing` or `deleting`.
        """
        attempt = of_attempt or self.status.attempts[-1].number
        name = f"{self.name}-{attempt}"
        flags = {"complete": False, "failed": False, **state}
        workload = Workload(uid=f"uid-of-{name}", name=name, attempt=attempt, message=message, **flags)
        return replace(self, workloads=(*self.workloads, workload))

    def with_pods(self, *pods: PodBuilder) -> JobBuilder:
        """Whose pods exist."""
        return replace(self, pods=pods)

    def being_created(self) -> JobBuilder:
        """Whose objects are being applied."""
        return replace(self, creating=True)

    def refused_by_the_api_server(self, message: str) -> JobBuilder:
        """Whose objects the API server will never take."""
        return replace(self, refused_objects=message)

    def with_refused_pods(self, message: str) -> JobBuilder:
        """Some of whose pods the API server refused, or did not, if the message is empty."""
        return replace(self, refused_pods=message)

    def being_removed(self, *uids: str) -> JobBuilder:
        """Some of whose Jobs, or which itself, are being deleted at this moment."""
        return replace(self, removing=frozenset(uids))

    def holding(self, gpus: Mapping[str, tuple[HeldGpu, ...]]) -> JobBuilder:
        """Whose pods, by UID, agents have seen to hold these GPUs."""
        return replace(self, held_gpus=gpus)

    def hearing(self, **heard: Any) -> JobBuilder:
        """Of which this is known: `agents_words`, `metered_nodes`, `telemetry` and the like, as in `Job`."""
        return replace(self, heard={**self.heard, **heard})

    def at_place(self, jobs: int, gpus: int, put_back: int = 0) -> JobBuilder:
        """At a place in the queue, with so many GPUs asked for up to and with it; put back by so many seconds."""
        return replace(self, place=Ahead(jobs, gpus, put_back))

    def being_ungated(self, *pod_uids: str) -> JobBuilder:
        """For some of whose pods the patch is in flight."""
        return replace(self, ungating=frozenset(pod_uids))

    # forms

    def manifest(self) -> JsonObject:
        """Return the TrainingJob as the API server has it."""
        trainer = {"name": "trainer", "image": "example.com/trainer:1", **copy.deepcopy(dict(self.trainer))}
        trainer["resources"] = {"limits": dict(self.limits)}
        template: JsonObject = {"spec": {"containers": [trainer], **copy.deepcopy(dict(self.pod_spec))}}
        if self.pod_labels:
            template["metadata"] = {"labels": dict(self.pod_labels)}
        metadata: JsonObject = {
            "name": self.name,
            "namespace": self.namespace,
            "uid": self._uid,
            "generation": self.generation,
            "resourceVersion": str(self.version),
            "creationTimestamp": rfc3339(at(self.created)),
        }
        if self.deleted:
            metadata["deletionTimestamp"] = rfc3339(at(0))
        return {
            "apiVersion": "ballast.dev/v1alpha1",
            "kind": "TrainingJob",
            "metadata": metadata,
            "spec": {**self.spec, "energy": dict(self.energy), "template": template},
            "status": self.status.to_manifest(),
        }

    def training_job(self) -> TrainingJob:
        """Return the TrainingJob as a model."""
        return TrainingJob.parse(self.manifest())

    def gang(self) -> GangRequest:
        """Return what its gang asks of the cluster."""
        return parsing.gang_request(self.training_job())

    def build(self) -> Job:
        """Return the job as `decide` reads it."""
        training_job = self.training_job()
        gang, problem = None, None
        try:
            gang = parsing.gang_request(training_job)
        except parsing.UnsupportedTemplate as error:
            problem = str(error)
        return Job(
            job=training_job,
            uid=self._uid,
            queued_at=NOW + self.created,
            precedence=precedence(training_job, NOW + self.created, self.rank, Policy()),
            gang=gang,
            problem=problem,
            workloads=self.workloads,
            pods=tuple(pod.build() for pod in self.pods),
            creating=self.creating,
            refused_objects=self.refused_objects,
            refused_pods=self.refused_pods,
            ungating=self.ungating,
            removing=self.removing,
            ahead=self.place,
            held_gpus=self.held_gpus,
            priority=self.priority,
            keeps_checkpoints=keeps_checkpoints(training_job),
            **self.heard,
        )

    def job_manifest(self, version: int = 1, **conditions: str) -> JsonObject:
        """Return its `batch/v1` Job as the API server has it, with conditions that are True and their messages."""
        training_job = self.training_job()
        attempt = self.status.attempts[-1].number
        manifest = workload(training_job, attempt)
        manifest["metadata"] |= {
            "uid": f"uid-of-{attempt_name(training_job, attempt)}",
            "resourceVersion": str(version),
        }
        manifest["status"] = {
            "conditions": [{"type": type_, "status": "True", "message": told} for type_, told in conditions.items()]
        }
        return manifest

    @property
    def _uid(self) -> str:
        return self.uid or f"uid-of-{self.name}"

    def _with_status(self, **fields: Any) -> JobBuilder:
        return replace(self, status=self.status.model_copy(update=fields))


def job(name: str) -> JobBuilder:
    """Begin a TrainingJob."""
    return JobBuilder(name)


# -- pods -------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class PodBuilder:
    """A pod; by default pending, without a gate and without a node."""

    name: str
    namespace: str = "team"
    index: int = 0
    attempt: int = 1
    owner_uid: str | None = None
    limits: Mapping[str, str] = field(default_factory=lambda: {CPU: "1"})
    node_name: str | None = None
    phase: str = "Pending"
    gates: tuple[str, ...] = ()
    affinity: Mapping[str, Any] | None = None
    grace_over: float | None = None
    exit_code: int | None = None
    message: str = ""
    conditions: tuple[Mapping[str, str], ...] = ()
    waiting: Mapping[str, str] | None = None
    reason: str = ""
    finalizers: tuple[str, ...] = ()
    ended: float | None = None
    words: str | None = None
    earlier_words: str | None = None
    grace: int | None = None
    version: int = 1

    def gated(self, *before: str) -> PodBuilder:
        """Behind Ballast's gate, which may stand after others."""
        return replace(self, gates=(*before, PLACEMENT_GATE))

    def on(self, node_name: str) -> PodBuilder:
        """Bound to a node."""
        return replace(self, node_name=node_name)

    def running_on(self, node_name: str) -> PodBuilder:
        """Bound to a node and running."""
        return replace(self, node_name=node_name, phase="Running")

    def failed(self, exit_code: int | None = None, message: str = "") -> PodBuilder:
        """That ended without a result."""
        return replace(self, phase="Failed", exit_code=exit_code, message=message)

    def succeeded(self) -> PodBuilder:
        """That ended well."""
        return replace(self, phase="Succeeded", exit_code=0)

    def being_deleted(self, grace_over: float = 0, grace: int | None = None) -> PodBuilder:
        """That is on its way out; the kubelet kills it so many seconds after `NOW`, when its grace is over."""
        return replace(self, grace_over=grace_over, grace=grace)

    def held(self, *before: str) -> PodBuilder:
        """That is kept for the ledger, by a finalizer that may stand after others."""
        return replace(self, finalizers=(*before, FINALIZER))

    def ended_at(self, seconds: float, words: str | None = None) -> PodBuilder:
        """Whose containers ended so many seconds after `NOW`, the exporter with these words."""
        return replace(self, ended=seconds, words=words)

    def having_said(self, words: str) -> PodBuilder:
        """Whose exporter said this at the end of an earlier life."""
        return replace(self, earlier_words=words)

    def disrupted(self, reason: str, message: str = "") -> PodBuilder:
        """That the cluster ends on its own account."""
        condition = {"type": "DisruptionTarget", "status": "True", "reason": reason, "message": message}
        return replace(self, conditions=(*self.conditions, condition))

    def unschedulable(self, message: str) -> PodBuilder:
        """For which kube-scheduler finds no room."""
        condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
        return replace(self, conditions=(*self.conditions, condition))

    def waiting_for(self, reason: str, message: str = "") -> PodBuilder:
        """Whose container does not start."""
        return replace(self, waiting={"reason": reason, "message": message})

    def rejected(self, reason: str, message: str = "") -> PodBuilder:
        """That the kubelet did not take."""
        return replace(self, phase="Failed", reason=reason, message=message)

    def requiring(self, affinity: Mapping[str, Any]) -> PodBuilder:
        """With an affinity."""
        return replace(self, affinity=affinity)

    def asking_for(self, **limits: str) -> PodBuilder:
        """With limits of its one container; `gpus` is short for the GPU resource."""
        return replace(self, limits={GPU if name == "gpus" else name: amount for name, amount in limits.items()})

    def of_attempt(self, attempt: int) -> PodBuilder:
        """Of another attempt than the first."""
        return replace(self, attempt=attempt)

    def at_version(self, version: int) -> PodBuilder:
        """As the API server had it at a resource version."""
        return replace(self, version=version)

    @property
    def uid(self) -> str:
        """Its UID."""
        return f"uid-of-{self.name}"

    def manifest(self) -> JsonObject:
        """Return the pod as the API server has it."""
        labels = {"app": self.name}
        if self.owner_uid is not None:
            labels = {
                JOB_UID_LABEL: self.owner_uid,
                ATTEMPT_LABEL: str(self.attempt),
                COMPLETION_INDEX: str(self.index),
            }
        spec: JsonObject = {"containers": [{"name": "trainer", "resources": {"limits": dict(self.limits)}}]}
        if self.node_name is not None:
            spec["nodeName"] = self.node_name
        if self.gates:
            spec["schedulingGates"] = [{"name": gate} for gate in self.gates]
        if self.affinity is not None:
            spec["affinity"] = self.affinity
        status: JsonObject = {"phase": self.phase}
        if self.conditions:
            status["conditions"] = [dict(condition) for condition in self.conditions]
        if self.reason or (self.exit_code is None and self.message):
            status |= {"reason": self.reason, "message": self.message}
        if self.waiting is not None:
            status["containerStatuses"] = [{"name": "trainer", "state": {"waiting": dict(self.waiting)}}]
        if self.exit_code is not None:
            ended = {"exitCode": self.exit_code, "message": self.message}
            if self.ended is not None:
                ended["finishedAt"] = rfc3339(at(self.ended))
            status["containerStatuses"] = [{"name": "trainer", "state": {"terminated": ended}}]
        if self.ended is not None or self.earlier_words is not None:
            status["initContainerStatuses"] = [self._exporter()]
        metadata: JsonObject = {
            "name": self.name,
            "namespace": self.namespace,
            "uid": self.uid,
            "resourceVersion": str(self.version),
            "creationTimestamp": rfc3339(at(-3600)),
            "labels": labels,
        }
        if self.grace_over is not None:
            metadata["deletionTimestamp"] = rfc3339(at(self.grace_over))
        if self.grace is not None:
            metadata["deletionGracePeriodSeconds"] = self.grace
        if self.finalizers:
            metadata["finalizers"] = list(self.finalizers)
        return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec, "status": status}

    def _exporter(self) -> JsonObject:
        state: JsonObject = {"running": {}}
        if self.ended is not None:
            state = {"terminated": {"exitCode": 0, "finishedAt": rfc3339(at(self.ended)), "message": self.words or ""}}
        last: JsonObject = {}
        if self.earlier_words is not None:
            last = {"terminated": {"exitCode": 1, "finishedAt": rfc3339(at(-60)), "message": self.earlier_words}}
        return {"name": CONTAINER, "state": state, "lastState": last}

    def build(self) -> Pod:
        """Return a training pod as `decide` reads it."""
        return parsing.training_pod(self.manifest())


def pod(index: int, of: JobBuilder | str = "train") -> PodBuilder:
    """Begin the training pod at an index of a job's gang."""
    owner = of if isinstance(of, JobBuilder) else job(of)
    name = f"{owner.name}-1-{index}"
    return PodBuilder(name, owner.namespace, index=index, owner_uid=owner.training_job().metadata.uid)


def foreign_pod(name: str) -> PodBuilder:
    """Begin a pod that is not Ballast's."""
    return PodBuilder(name, namespace="other")


# -- snapshots --------------------------------------------------------------------------------------------------------


def snapshot(
    nodes: Iterable[NodeBuilder] = (),
    waiting: Iterable[JobBuilder] = (),
    changed: Iterable[JobBuilder] = (),
    refused: Mapping[GangRequest, Refusal] | None = None,
    max_actions: int = 256,
    now: float = NOW,
    policy: Policy | None = None,
    used: Mapping[str, int] | None = None,
    running: Iterable[JobBuilder] = (),
) -> Snapshot:
    """Return a snapshot in which every waiting job stands in its lane and is reviewed.

    Args:
        nodes: The cluster.
        waiting: The queue.
        running: Jobs that hold something, of which any may be stopped for another.
        changed: Jobs to go on with.
        refused: What did not fit before.
        max_actions: The room for actions, of each sort.
        now: Seconds since the epoch.
        policy: The admin's choices; the defaults if None.
        used: GPUs that the jobs of a namespace hold.
    """
    policy = policy or Policy()
    cluster = tuple(sorted((builder.build() for builder in nodes), key=lambda n: n.name))
    jobs = [builder.build() for builder in waiting]
    by_gang = sorted((j for j in jobs if j.gang is not None), key=lambda j: (repr(j.gang), j.order))
    return Snapshot(
        now=now,
        nodes=cluster,
        lanes=tuple(
            Lane(gang, tuple(members)) for gang, members in groupby(by_gang, key=lambda j: j.gang) if gang is not None
        ),
        changed=tuple(builder.build() for builder in changed),
        review=tuple(jobs),
        refused=refused or {},
        max_actions=max_actions,
        max_explanations=max_actions,
        policy=policy,
        shares=fair_shares(
            used or {},
            {job.gang.payer for job in jobs if job.gang is not None and job.gang.payer},
            sum(node.allocatable.get(GPU, 0) for node in cluster),
            policy,
        ),
        running=tuple(builder.build() for builder in running),
    )


ROOMY = tuple(node(name).with_gpus("A100", 64).with_cpus(512, 4096) for name in "abcd")
"""Nodes with room for whatever tests of the life cycle place on them."""


def context(nodes: Iterable[NodeBuilder] = ROOMY, now: float = NOW, policy: Policy | None = None) -> Context:
    """Return what a job's next step depends on; by default four healthy nodes named a to d."""
    return Context(now, {builder.name: builder.build() for builder in nodes}, policy or Policy())
