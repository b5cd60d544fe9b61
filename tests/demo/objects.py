"""TrainingJobs, pods and nodes as the API server has them, reduced to what the demo shows and judges.

Pure functions from JSON to frozen values. Invariant: times are seconds since the epoch as the cluster's own clocks gave
them, and None where there is none yet.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

JsonObject = Mapping[str, Any]

JOB_LABEL = "ballast.dev/trainingjob"
INDEX_LABEL = "batch.kubernetes.io/job-completion-index"
GPU = "nvidia.com/gpu"
GPU_PRODUCT_LABEL = "nvidia.com/gpu.product"
SIMULATED_TAINT = "kwok.x-k8s.io/node"

FINAL_PHASES = frozenset({"Succeeded", "EarlyStopped", "Failed"})
HOLDS_CAPACITY = frozenset({"Placing", "Running", "Suspending"})
#: Reasons of a waiting job that do not go away by waiting.
HOPELESS = frozenset({"ClusterTooSmall", "NoEligibleNode", "InvalidSpec"})


@dataclass(frozen=True, kw_only=True)
class Asked:
    """A TrainingJob as its manifest asks for it.

    Attributes:
        simulated: Whether it tolerates simulated nodes, and so does not really train.
        power_limit_watts: The power limit that its GPUs are to have; None if they stay as they were found.
    """

    name: str
    replicas: int = 1
    gpus_per_pod: int = 0
    simulated: bool = False
    power_limit_watts: float | None = None

    @property
    def on_real_gpus(self) -> bool:
        """Whether it holds GPUs of a node that runs its pods for real, be the boards simulated or not."""
        return bool(self.gpus_per_pod) and not self.simulated

    @property
    def size(self) -> str:
        """Pods and GPUs, for people."""
        each = f"{self.gpus_per_pod} GPU" if self.gpus_per_pod else "CPU"
        return each if self.replicas == 1 else f"{self.replicas} x {each}"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where one pod of a gang goes, as the TrainingJob's status says."""

    node: str
    gpu_model: str | None = None
    gpus: int = 0


@dataclass(frozen=True, kw_only=True)
class Job:
    """A TrainingJob as it stands.

    Attributes:
        message: Why it stands where it stands, in the operator's words.
        placing: Why it was placed where it was placed; empty before.
        watts: What it draws now, as the operator read it from Prometheus.
        joules: What it has used, all attempts together.
        gpu_joules: Of its pods that have ended, what their GPUs used: the ledger; None before one has.
        settled_pods: How many pods are in that ledger.
    """

    name: str
    phase: str = "Pending"
    reason: str = ""
    message: str = ""
    placing: str = ""
    places: tuple[Place, ...] = ()
    predicted_watts: float | None = None
    watts: float | None = None
    joules: float | None = None
    gpu_joules: float | None = None
    settled_pods: int = 0
    queued_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None

    @property
    def is_final(self) -> bool:
        """Whether it has ended."""
        return self.phase in FINAL_PHASES

    @property
    def nodes(self) -> str:
        """Its nodes, for people."""
        return ", ".join(dict.fromkeys(place.node for place in self.places))

    @property
    def gpu_model(self) -> str:
        """Its GPU model, or `CPU`; empty while it has no placement."""
        return ", ".join(dict.fromkeys(place.gpu_model or "CPU" for place in self.places))

    @property
    def gpus(self) -> int:
        """GPUs that its placement takes."""
        return sum(place.gpus for place in self.places)

    def waited_seconds(self, now: float) -> float | None:
        """Seconds from the queue to running; until now for a job that still waits."""
        if self.queued_at is None:
            return None
        until = self.started_at if self.started_at is not None else self.finished_at
        return max((now if until is None else until) - self.queued_at, 0.0)

    @property
    def ran_seconds(self) -> float | None:
        """Seconds from running to the end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return max(self.finished_at - self.started_at, 0.0)


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A training pod.

    Attributes:
        index: Its place in the gang.
        last_words: The trainer's termination message.
        waiting: Why its trainer has not started, where a kubelet says so.
    """

    name: str
    job: str
    uid: str = ""
    index: int = 0
    node: str = ""
    gpus: int = 0
    phase: str = "Pending"
    scheduled_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    last_words: str = ""
    waiting: str = ""

    @property
    def ran_seconds(self) -> float | None:
        """Seconds for which its trainer ran."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


@dataclass(frozen=True, kw_only=True)
class Node:
    """A node."""

    name: str
    gpus: int = 0
    gpu_product: str = ""
    simulated: bool = False
    ready: bool = True

    @property
    def gpu_model(self) -> str:
        """The GPU model as people call it."""
        return gpu_model(self.gpu_product)


@dataclass(frozen=True, kw_only=True)
class TrainingResult:
    """What a real trainer reports at its end.

    Attributes:
        accuracy: Share of held-out examples that the trained model gets right.
        processes: How many trained together.
        samples: Examples that it learned from, over all processes.
    """

    accuracy: float
    processes: int
    seconds: float
    samples: int = 0


def asked(manifest: JsonObject) -> Asked:
    """What a manifest asks for."""
    spec = manifest["spec"]
    pod = spec["template"]["spec"]
    trainer = next(container for container in pod["containers"] if container["name"] == "trainer")
    return Asked(
        name=manifest["metadata"]["name"],
        replicas=spec.get("replicas", 1),
        gpus_per_pod=_gpus(trainer),
        simulated=any(toleration.get("key") == SIMULATED_TAINT for toleration in pod.get("tolerations") or ()),
        power_limit_watts=watts(((spec.get("energy") or {}).get("operatingPoint") or {}).get("powerLimit")),
    )


def job(manifest: JsonObject) -> Job:
    """A TrainingJob."""
    status = manifest.get("status") or {}
    conditions = {condition["type"]: condition for condition in status.get("conditions") or ()}
    phase = status.get("phase", "Pending")
    telling = {"Succeeded": "Complete", "Failed": "Failed"}.get(phase, "Admitted")
    admitted = conditions.get("Admitted", {})
    energy = status.get("energy") or {}
    ledger = [each["energy"] for each in status.get("attempts") or () if each.get("energy")]
    return Job(
        name=manifest["metadata"]["name"],
        phase=phase,
        reason=status.get("reason") or "",
        message=conditions.get(telling, {}).get("message", ""),
        placing=admitted.get("message", "") if admitted.get("status") == "True" else "",
        places=tuple(
            Place(node=place["node"], gpu_model=place.get("gpuModel"), gpus=place.get("gpus", 0))
            for place in status.get("placement") or ()
        ),
        predicted_watts=energy.get("predictedWatts"),
        watts=energy.get("watts"),
        joules=energy.get("joules"),
        gpu_joules=sum(each.get("gpuJoules", 0.0) for each in ledger) if ledger else None,
        settled_pods=sum(each.get("pods", 0) for each in ledger),
        queued_at=seconds(status.get("queuedAt")),
        started_at=seconds(status.get("startedAt")),
        finished_at=seconds(status.get("finishedAt")),
    )


def pod(manifest: JsonObject) -> Pod:
    """A pod of a TrainingJob."""
    metadata, spec, status = manifest["metadata"], manifest["spec"], manifest.get("status") or {}
    states = {each["name"]: each.get("state") or {} for each in status.get("containerStatuses") or ()}
    state = states.get("trainer", {})
    terminated, waiting = state.get("terminated") or {}, state.get("waiting") or {}
    scheduled: JsonObject = next((c for c in status.get("conditions") or () if c["type"] == "PodScheduled"), {})
    return Pod(
        name=metadata["name"],
        job=metadata["labels"][JOB_LABEL],
        uid=metadata.get("uid", ""),
        index=int(metadata["labels"].get(INDEX_LABEL, 0)),
        node=spec.get("nodeName", ""),
        gpus=sum(_gpus(container) for container in spec["containers"]),
        phase=status.get("phase", "Pending"),
        scheduled_at=seconds(scheduled.get("lastTransitionTime")) if scheduled.get("status") == "True" else None,
        started_at=seconds(terminated.get("startedAt") or (state.get("running") or {}).get("startedAt")),
        finished_at=seconds(terminated.get("finishedAt")),
        last_words=terminated.get("message", ""),
        waiting=": ".join(part for part in (waiting.get("reason", ""), waiting.get("message", "")) if part),
    )


def node(manifest: JsonObject) -> Node:
    """A node."""
    labels = manifest["metadata"].get("labels") or {}
    taints = (manifest.get("spec") or {}).get("taints") or ()
    status = manifest.get("status") or {}
    return Node(
        name=manifest["metadata"]["name"],
        gpus=int((status.get("allocatable") or {}).get(GPU, 0)),
        gpu_product=labels.get(GPU_PRODUCT_LABEL, ""),
        simulated=any(taint.get("key") == SIMULATED_TAINT for taint in taints),
        ready=any(c["type"] == "Ready" and c["status"] == "True" for c in status.get("conditions") or ()),
    )


def training_result(last_words: str) -> TrainingResult | None:
    """What a trainer's termination message, or the last line of its log, reports; None if it reports no accuracy."""
    try:
        said = json.loads(last_words)
    except ValueError:
        return None
    if not isinstance(said, dict):
        return None
    accuracy = said.get("test_accuracy", said.get("val_accuracy"))
    if not isinstance(accuracy, int | float):
        return None
    return TrainingResult(
        accuracy=float(accuracy),
        processes=int(said.get("processes", 1)),
        seconds=float(said.get("seconds", 0.0)),
        samples=int(said.get("samples", 0)),
    )


def seconds(time: str | None) -> float | None:
    """Seconds since the epoch of a time as Kubernetes writes it."""
    return datetime.fromisoformat(time).timestamp() if time else None


def gpu_model(product: str) -> str:
    """The part of a product's name by which people call the GPU model: `A100` of NVIDIA-A100-SXM4-80GB."""
    words = product.replace(" ", "-").split("-")
    return next((word for word in words if word[:1].isalpha() and word[1:].isdigit()), product)


def watts(quantity: str | None) -> float | None:
    """Watts of a power limit as the examples write it: `150W`."""
    return float(quantity.removesuffix("W")) if quantity else None


def _gpus(container: JsonObject) -> int:
    limits = (container.get("resources") or {}).get("limits") or {}
    return int(limits.get(GPU, 0))
