"""Brings a job to a phase of its life in which it stays until something is done to it."""

from __future__ import annotations

from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace

PHASES = ("Queued", "Placing", "Running", "Suspending", "Suspended", "Succeeded", "Failed")


def bring_to(phase: str, namespace: Namespace, name: str, node: str, *, ends_in: int = 3) -> JsonObject:
    """Submit a gang of two pods, two GPUs each, and wait until it is in a phase; one that waits asks for too much.

    Args:
        phase: the phase.
        namespace: where.
        name: the job's name.
        node: where its pods are to go.
        ends_in: how long its pods take to end, in seconds.
    """
    job = training_job(name).pods(2).gpus(2).torchrun().on_node(node).spec(retryLimit=0)
    match phase:
        case "Queued":
            namespace.submit(job.pods(64))
            namespace.wait_until_refused(name, "ClusterTooSmall")
        case "Placing":
            namespace.submit(job.held())
        case "Succeeded":
            namespace.submit(job)
        case "Failed":
            namespace.submit(job.exits(1))
        case _:
            namespace.submit(job.runs(seconds=600).takes_to_end(seconds=ends_in))
            namespace.wait_for_phase(name, "Running")
    if phase in {"Suspending", "Suspended"}:
        namespace.edit(name, suspend=True)
    return namespace.wait_for_phase(name, phase)
