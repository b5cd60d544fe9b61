"""The objects of a simulated cluster, as its API server would have them: plain JSON in Kubernetes' shapes.

What must hold: they are what `observe` reads of a real cluster, and no more. A field that neither it nor `decide` looks
at is not here.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, TypeAlias

from ballast.api import energyprofile, nodepower, trainingjob
from ballast.api.base import API_VERSION
from ballast.api.labels import ATTEMPT_LABEL, COMPLETION_INDEX, GPU_PRODUCT_LABEL, JOB_UID_LABEL
from ballast.api.podtemplate import GPU_RESOURCE, PLACEMENT_GATE, TRAINER_CONTAINER
from ballast.decide.learning.profile_keys import profile_name
from ballast.errors import UserError
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode

JsonObject: TypeAlias = dict[str, Any]

EPOCH: Final = 1_800_000_000.0
"""When a trace begins, in seconds since the epoch: `decide` works with moments, a trace with seconds of its own."""
NAMESPACE: Final = "simulated"
_KEY_DIGITS: Final = 40
MAX_CLOCK_HERTZ: Final = 1_500_000_000
"""Of every board: power limits alone are simulated."""
PODS_OF_NODE: Final = 110
"""What a kubelet takes by default; more than a node has GPUs."""
MAX_SLOWDOWN_PERCENT: Final = 1000
"""The most that a TrainingJob may say."""


@dataclass(frozen=True, slots=True)
class Gang:
    """How a job's GPUs are spread over pods.

    Attributes:
        pods: How many.
        gpus: Of each of them.
    """

    pods: int
    gpus: int

    def models_of(self, nodes: Iterable[SimNode]) -> frozenset[str]:
        """Return the GPU models on whose nodes it fits when they are empty."""
        sizes = Counter((node.gpu_model, node.gpus) for node in nodes)
        return frozenset(model for model, room in _room_by_model(sizes, self.gpus).items() if room >= self.pods)

    @classmethod
    def of(cls, job: TraceJob, nodes: Iterable[SimNode]) -> Gang:
        """Return a job's gang: one pod as long as a node can hold it, else one for each whole node.

        All pods of a gang are alike: one that needs less of its last node than all of it gets that node nevertheless.
        Whole nodes are the largest of which enough have the same GPU model.

        Raises:
            UserError: A job without GPUs, or one that the cluster cannot hold, or not on whole nodes only.
        """
        if job.gpus < 1:
            raise UserError(f"job {job.name}: gpus is {job.gpus}; a simulated job needs at least one")
        nodes = tuple(nodes)
        sizes = Counter((node.gpu_model, node.gpus) for node in nodes)
        largest = max((gpus for _, gpus in sizes), default=0)
        if job.gpus <= largest:
            return cls(1, job.gpus)
        for each in sorted({gpus for _, gpus in sizes}, reverse=True):
            gang = cls(math.ceil(job.gpus / each), each)
            models = gang.models_of(nodes)
            if models:
                gang._check_nodes(job, models, sizes)
                return gang
        raise UserError(
            f"job {job.name}: gpus is {job.gpus}; no GPU model of the cluster has so many: drop the job or add nodes"
        )

    def _check_nodes(self, job: TraceJob, models: Iterable[str], sizes: Mapping[tuple[str, int], int]) -> None:
        """See that its pods take whole nodes, one left out, wherever they are placed on these GPU models."""
        for model in models:
            larger = {gpus: count for (name, gpus), count in sizes.items() if name == model and gpus > self.gpus}
            if sum(larger.values()) > 1:
                raise UserError(
                    f"job {job.name}: gpus is {job.gpus}; pods of {self.gpus} would leave GPUs of several {model} nodes"
                    f" idle: give all {model} nodes equally many GPUs, or drop the job"
                )


def _room_by_model(sizes: Mapping[tuple[str, int], int], pod_gpus: int) -> Counter[str]:
    """Return how many pods of so many GPUs fit on each GPU model's nodes when they are empty."""
    room: Counter[str] = Counter()
    for (model, gpus), count in sizes.items():
        room[model] += count * (gpus // pod_gpus)
    return room


def moment(seconds: float) -> str:
    """Return a time of the trace as the API server writes it, in whole seconds."""
    return datetime.fromtimestamp(EPOCH + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def node(sim: SimNode, labels: Mapping[str, str], version: int) -> JsonObject:
    """Return a node, healthy and open to everybody.

    Args:
        sim: The node of the cluster file.
        labels: Those that Ballast gave it.
        version: Its resource version.
    """
    return {
        "metadata": {
            "name": sim.name,
            "uid": f"node-{sim.name}",
            "resourceVersion": str(version),
            "labels": {GPU_PRODUCT_LABEL: sim.gpu_model, **labels},
        },
        "spec": {},
        "status": {
            "allocatable": {GPU_RESOURCE: str(sim.gpus), "pods": str(PODS_OF_NODE)},
            "conditions": [{"type": "Ready", "status": "True"}],
        },
    }


def promised_slowdown_percent(job: TraceJob) -> int:
    """Return what a job's TrainingJob allows: the API takes whole percents, and never more than was asked for.

    Raises:
        UserError: The slowdown is negative.
    """
    if job.max_slowdown_percent < 0:
        raise UserError(
            f"job {job.name}: max_slowdown_percent is {job.max_slowdown_percent:g}; write 0 if it may not be slower"
        )
    return math.floor(min(job.max_slowdown_percent, MAX_SLOWDOWN_PERCENT))


def key_of(kind: str) -> str:
    """Return the profile key of a kind of jobs, whose name need not be one that Kubernetes takes."""
    return hashlib.sha256(kind.encode()).hexdigest()[:_KEY_DIGITS]


def training_job(
    job: TraceJob, gang: Gang, name: str, now: float, version: int, expected_seconds: float | None = None
) -> JsonObject:
    """Return the TrainingJob that somebody submits for a job of the trace.

    It says no more than the trace does: joules are to be saved within the slowdown and the deadline. Its operating
    point is left alone, as there is no Prometheus here from which the operator could learn: whoever simulates chooses
    power limits beside it (`ballast.simulate.policies.points`). It goes as soon as it has ended, as nobody looks at it.

    Args:
        job: The job.
        gang: Its pods.
        name: Of the TrainingJob: the trace's own need not be one that Kubernetes takes.
        now: When it is created, seconds since the trace began.
        version: Its resource version.
        expected_seconds: How long its user says that it takes; None if its user does not.

    Raises:
        UserError: The slowdown is negative.
    """
    energy: JsonObject = {
        "objective": "MinimizeEnergy",
        "maxSlowdownPercent": promised_slowdown_percent(job),
        "operatingPoint": {"mode": "None"},
        "profileKey": key_of(job.kind),
    }
    if expected_seconds is not None:
        energy["expectedDuration"] = f"{max(math.ceil(expected_seconds), 1)}s"
    if job.deadline is not None:
        energy["deadline"] = moment(job.deadline)
    return {
        "apiVersion": API_VERSION,
        "kind": trainingjob.KIND,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"uid-{name}",
            "generation": 1,
            "resourceVersion": str(version),
            "creationTimestamp": moment(now),
        },
        "spec": {
            "replicas": gang.pods,
            "ttlSecondsAfterFinished": 0,
            "energy": energy,
            "template": {"spec": _pod_spec(job.kind, gang.gpus)},
        },
    }


def _pod_spec(image: str, gpus: int) -> JsonObject:
    limits = {GPU_RESOURCE: str(gpus)}
    return {"containers": [{"name": TRAINER_CONTAINER, "image": image, "resources": {"limits": limits}}]}


def workload(owner: Mapping[str, Any], attempt: int, version: int) -> JsonObject:
    """Return the `batch/v1` Job of an attempt as it was just made: another one of that name has another UID.

    Args:
        owner: The TrainingJob.
        attempt: Its number.
        version: Its resource version.
    """
    name = f"{owner['metadata']['name']}-{attempt}"
    metadata = {
        "name": name,
        "namespace": owner["metadata"]["namespace"],
        "uid": f"job-{name}-{version}",
        "resourceVersion": str(version),
        "labels": _labels(owner, attempt),
    }
    return {"metadata": metadata, "status": {"conditions": []}}


def complete_workload(made: Mapping[str, Any], version: int) -> JsonObject:
    """Return a `batch/v1` Job of which all pods have succeeded."""
    metadata = {**made["metadata"], "resourceVersion": str(version)}
    return {"metadata": metadata, "status": {"conditions": [{"type": "Complete", "status": "True"}]}}


def gated_pod(owner: Mapping[str, Any], attempt: int, index: int, version: int) -> JsonObject:
    """Return a pod as the Job's controller just made it: it waits behind Ballast's gate.

    Args:
        owner: The TrainingJob.
        attempt: The attempt's number.
        index: Its place in the gang.
        version: Its resource version.
    """
    name = f"{owner['metadata']['name']}-{attempt}-{index}"
    return {
        "metadata": {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "uid": f"pod-{name}-{version}",
            "resourceVersion": str(version),
            "labels": {**_labels(owner, attempt), COMPLETION_INDEX: str(index)},
        },
        "spec": {**owner["spec"]["template"]["spec"], "schedulingGates": [{"name": PLACEMENT_GATE}]},
        "status": {"phase": "Pending"},
    }


def running_pod(pod: Mapping[str, Any], node_name: str, version: int) -> JsonObject:
    """Return a pod that has lost its gate, was bound to its node and runs."""
    spec = {name: value for name, value in pod["spec"].items() if name != "schedulingGates"}
    return _pod_as(pod, version, {**spec, "nodeName": node_name}, "Running", {"running": {}})


def ended_pod(pod: Mapping[str, Any], now: float, version: int) -> JsonObject:
    """Return a pod whose trainer has come to its end."""
    ended = {"terminated": {"exitCode": 0, "finishedAt": moment(now)}}
    return _pod_as(pod, version, pod["spec"], "Succeeded", ended)


def _pod_as(pod: Mapping[str, Any], version: int, spec: Mapping[str, Any], phase: str, state: JsonObject) -> JsonObject:
    metadata = {**pod["metadata"], "resourceVersion": str(version)}
    status = {"phase": phase, "containerStatuses": [{"name": TRAINER_CONTAINER, "state": state}]}
    return {"metadata": metadata, "spec": spec, "status": status}


def _labels(owner: Mapping[str, Any], attempt: int) -> JsonObject:
    return {JOB_UID_LABEL: owner["metadata"]["uid"], ATTEMPT_LABEL: str(attempt)}


def energy_profile(kind: str, gpu_model: str, points: Sequence[Point], version: int) -> JsonObject:
    """Return what was learned of a kind of jobs on a GPU model.

    Args:
        kind: Of the jobs.
        gpu_model: On which they ran.
        points: What was measured.
        version: Its resource version.
    """
    name = profile_name(key_of(kind), gpu_model)
    return {
        "apiVersion": API_VERSION,
        "kind": energyprofile.KIND,
        "metadata": {
            "name": name,
            "namespace": NAMESPACE,
            "uid": f"profile-{name}",
            "resourceVersion": str(version),
        },
        "spec": {
            "profileKey": key_of(kind),
            "gpuModel": gpu_model,
            "points": [
                {
                    "gpus": point.gpus,
                    "powerLimitWatts": point.limit_watts,
                    "maxClockHertz": MAX_CLOCK_HERTZ,
                    "stepsPerSecond": point.work_per_second,
                    "wattsPerGpu": point.watts,
                    "samples": point.samples,
                    "measuredSeconds": point.seconds,
                }
                for point in points
            ],
        },
    }


def progress(seconds_left: float, now: float) -> JsonObject:
    """Return what a trainer reported last of how far it is, as the operator writes it into a status."""
    return {"estimatedSecondsLeft": seconds_left, "reportedAt": moment(now)}


@dataclass(frozen=True, slots=True)
class Point:
    """What was measured of a kind of jobs at one power limit.

    Attributes:
        gpus: Of each job.
        limit_watts: Of each GPU.
        work_per_second: Of the whole job.
        watts: Of one GPU.
        samples: How often.
        seconds: How long, all together.
    """

    gpus: int
    limit_watts: float
    work_per_second: float
    watts: float
    samples: int
    seconds: float


@dataclass(frozen=True, slots=True)
class GpuState:
    """A GPU as its node's agent sees it.

    Attributes:
        holder: The pod that holds it; None while it is free.
        limit_watts: What the agent set; None while it is as it was found.
        since: When it set that, seconds since the trace began.
        problem: Why it did not.
    """

    holder: Mapping[str, Any] | None = None
    limit_watts: float | None = None
    since: float = 0.0
    problem: str | None = None


def node_power(sim: SimNode, spec: JsonObject, gpus: Sequence[GpuState], version: int) -> JsonObject:
    """Return a node's NodePower: what is asked of it, and what its agent tells.

    Args:
        sim: The node.
        spec: As the operator wrote it.
        gpus: All of the node's.
        version: Its resource version.
    """
    limits = {
        "minWatts": sim.min_limit_watts,
        "maxWatts": sim.max_limit_watts,
        "defaultWatts": sim.max_limit_watts,
        "foundWatts": sim.max_limit_watts,
    }
    return {
        "apiVersion": API_VERSION,
        "kind": nodepower.KIND,
        "metadata": {"name": sim.name, "uid": f"power-{sim.name}", "resourceVersion": str(version)},
        "spec": spec,
        "status": {
            "agent": "simulated",
            "gpus": [
                {
                    "uuid": f"GPU-{sim.name}-{index}",
                    "model": sim.gpu_model,
                    "powerLimit": limits,
                    "idleWatts": sim.idle_watts,
                    **_told(gpu),
                }
                for index, gpu in enumerate(gpus)
            ],
        },
    }


def _told(gpu: GpuState) -> JsonObject:
    told: JsonObject = {"holders": _holders([gpu.holder] if gpu.holder is not None else [])}
    if gpu.limit_watts is not None:
        told["enforced"] = {"operatingPoint": {"powerLimitWatts": gpu.limit_watts}, "since": moment(gpu.since)}
    if gpu.problem is not None:
        told["problem"] = gpu.problem
    return told


def _holders(pods: Iterable[Mapping[str, Any]]) -> list[JsonObject]:
    return [{key: pod["metadata"][key] for key in ("uid", "namespace", "name")} for pod in pods]
