"""Jobs, pods and nodes of a demo in which all went well; tests change what they are about."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from tests.demo.checks import Outcome
from tests.demo.objects import Asked, Job, Node, Place, Pod

A100 = Node(name="a100-1", gpus=8, gpu_product="NVIDIA-A100-SXM4-80GB", simulated=True)
H100 = Node(name="h100-1", gpus=8, gpu_product="NVIDIA-H100-80GB-HBM3", simulated=True)
REAL = Node(name="real-1")


def gpu_gang(**changes: Any) -> Asked:
    """A gang of two pods with four simulated GPUs each."""
    return replace(Asked(name="gang", replicas=2, gpus_per_pod=4, simulated=True), **changes)


def real_gang(**changes: Any) -> Asked:
    """Two pods that train for real."""
    return replace(Asked(name="digits", replicas=2), **changes)


def job_of(asked: Asked, node: Node, **changes: Any) -> Job:
    """A job that succeeded on one node."""
    model = node.gpu_model if asked.gpus_per_pod else None
    place = Place(node=node.name, gpu_model=model, gpus=asked.gpus_per_pod)
    job = Job(
        name=asked.name,
        phase="Succeeded",
        places=(place,) * asked.replicas,
        queued_at=100.0,
        started_at=110.0,
        finished_at=130.0,
    )
    return replace(job, **changes)


def pod_of(asked: Asked, node: Node, index: int, **changes: Any) -> Pod:
    """A pod that succeeded between the seconds 110 and 130."""
    pod = Pod(
        name=f"{asked.name}-1-{index}-abcde",
        job=asked.name,
        uid=f"{asked.name}-{index}",
        index=index,
        node=node.name,
        gpus=asked.gpus_per_pod,
        phase="Succeeded",
        scheduled_at=109.0,
        started_at=110.0,
        finished_at=130.0,
        last_words="" if asked.simulated else last_words(processes=asked.replicas),
    )
    return replace(pod, **changes)


def gang_of(asked: Asked, node: Node) -> list[Pod]:
    """All pods of a job that went well."""
    return [pod_of(asked, node, index) for index in range(asked.replicas)]


def last_words(accuracy: float = 0.97, processes: int = 2) -> str:
    """A trainer's termination message."""
    said = {"val_accuracy": accuracy, "processes": processes, "seconds": 4.2, "samples": 20_000}
    return json.dumps({"outcome": "completed", **said})


def outcome_of(asked: Asked, node: Node, *, job: Job | None = None, pods: Sequence[Pod] | None = None) -> Outcome:
    """The outcome of a demo with this one job."""
    return Outcome(
        asked=[asked],
        jobs={asked.name: job or job_of(asked, node)},
        pods=gang_of(asked, node) if pods is None else pods,
        nodes={each.name: each for each in (A100, H100, REAL)},
    )


def told(
    phase: str, *, name: str = "gang", reason: str = "", message: str = "", node: str = "", **energy: float
) -> dict[str, Any]:
    """A watch event about a job; `energy` is what its status has under that name."""
    admitted = {"type": "Admitted", "status": str(phase not in {"Pending", "Queued"}), "message": message}
    places = [{"pod": f"{name}-1-0", "node": node, "gpuModel": "A100", "gpus": 8}] if node else []
    status = {"phase": phase, "reason": reason, "conditions": [admitted], "placement": places, "energy": energy}
    return {"type": "MODIFIED", "object": {"metadata": {"name": name}, "status": status}}
