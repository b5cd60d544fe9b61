"""What speaks against an attempt, and whose fault it is: the trainer's, the cluster's, or nobody's but time's.

Only reads. The difference matters: the trainer's own failures count against `retryLimit`, the cluster's do not, and
what got stuck on a node is tried on another one. What must hold: a disruption explains what fails with it, so a gang
that lost a pod to its node is not blamed for the other pods' errors.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ballast.api.conditions import Reason
from ballast.api.jobstatus import MAX_AVOIDED, Outcome, Phase
from ballast.decide.resources import amount_of
from ballast.decide.snapshot import Context, Job, Pod
from ballast.decide.telling import pods

KILLED_BY_SIGNAL = frozenset({137, 143})
"""Exit codes of SIGKILL and SIGTERM: such a pod was ended, it did not end the others."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """Why an attempt ends, and how.

    Attributes:
        avoid: nodes that the next attempt had better not use.
    """

    outcome: Outcome
    reason: Reason
    message: str
    avoid: tuple[str, ...] = ()


def is_gone(pod: Pod, context: Context) -> bool:
    """Return whether a pod no longer trains nor holds anything.

    A pod whose node does not answer can't be seen to end. It counts as gone once its grace is over by
    `lost_pod_seconds`; the node is not used meanwhile. So does one that somebody deleted by force: but for the
    finalizer that keeps it for the ledger, it would not be there any more.
    """
    if pod.has_ended or (pod.node is None and pod.grace_over_at is not None):
        return True
    if pod.grace_over_at is None or context.now < pod.grace_over_at + context.policy.lost_pod_seconds:
        return False
    return pod.forced or not answers(pod.node, context)


def answers(name: str | None, context: Context) -> bool:
    """Return whether a node is there and its kubelet tells what becomes of its pods."""
    node = context.nodes.get(name or "")
    return node is not None and node.ready


def failure(job: Job, context: Context) -> Trouble:
    """Return why a gang's Job failed: the first pod that ended by itself, or what disrupted it."""
    failed = sorted((pod for pod in job.own_pods if pod.phase == "Failed"), key=_blame)
    others = f" ({len(failed)} of {job.job.spec.replicas} pods failed)" if len(failed) > 1 else ""
    for pod in failed:
        if pod.disruption:
            return _disrupted([pod], f"pod {pod.name} was disrupted{others}: {pod.disruption}", context)
    alive = [pod for pod in job.own_pods if pod.node is not None and not pod.has_ended]
    lost = [pod for pod in alive if pod.disruption or not answers(pod.node, context)]
    if lost:
        return _left(lost, context)
    vanished = _vanished(job, context)
    if vanished is not None and (vanished.avoid or not failed):
        return vanished
    # The Job's controller deletes pods of a failed gang that still run, not those that failed before.
    if failed and all(pod.deleting for pod in failed):
        return _left(failed, context)
    for pod in failed:
        if pod.exit_code is not None:
            said = f": {pod.message}" if pod.message else ""
            message = f"pod {pod.name} exited with code {pod.exit_code}{others}{said}"
            return Trouble(Outcome.FAILED, Reason.TRAINER_FAILED, message)
    if failed:
        said = f": {failed[0].message}" if failed[0].message else ""
        return _disrupted(failed[:1], f"pod {failed[0].name} was lost{others}{said}", context)
    leaving = [pod for pod in job.own_pods if pod.deleting]
    if leaving:
        return _left(leaving, context)
    said = job.workload.message if job.workload is not None else ""
    return Trouble(Outcome.DISRUPTED, Reason.POD_DISRUPTED, f"a pod was lost{f': {said}' if said else ''}")


def _blame(pod: Pod) -> tuple[bool, int]:
    return pod.exit_code in KILLED_BY_SIGNAL, pod.index


def false_success(job: Job, context: Context) -> Trouble | None:
    """Return what interrupted a gang whose Job is complete all the same, or None if its success is true.

    A trainer that exits with 0 when it gets SIGTERM looks as if it had trained to the end.
    """
    interrupted = [pod for pod in job.own_pods if pod.deleting or pod.disruption]
    if not interrupted:
        return None
    first = interrupted[0]
    why = f": {first.disruption}" if first.disruption else ""
    message = f"pod {first.name} exited with code 0 while it was being ended{why}: that is not taken for success"
    return _disrupted(interrupted, message, context)


def all_succeeded(job: Job) -> bool:
    """Return whether every pod of the gang ended with 0 before anybody wanted it to end."""
    well = {pod.index for pod in job.own_pods if pod.phase == "Succeeded" and not pod.deleting and not pod.disruption}
    return len(well) == job.job.spec.replicas


def disruption(job: Job, context: Context) -> Trouble | None:
    """Return what took a pod from a gang that needs all of them, or None if none was taken."""
    workload = job.workload
    if workload is None or workload.deleting:
        return Trouble(Outcome.DISRUPTED, Reason.POD_DISRUPTED, f"Job {job.name}-{job.attempt} was deleted")
    leaving = [pod for pod in job.own_pods if pod.deleting and not pod.has_ended]
    if leaving:
        return _left(leaving, context)
    return _vanished(job, context) if job.job.status.phase is Phase.RUNNING else None


def _vanished(job: Job, context: Context) -> Trouble | None:
    """Return what took pods that nobody saw end: Kubernetes removes those of a deleted node at once."""
    # A gated pod is new: the Job's controller has put it in the place of one that vanished.
    missing = job.job.spec.replicas - len({pod.index for pod in job.own_pods if pod.gate_position is None})
    if missing <= 0:
        return None
    silent = _silent_nodes(job, context)
    return _taken(silent, f"{pods(missing)} of the gang vanished{_because_of(silent)}", context)


def _silent_nodes(job: Job, context: Context) -> tuple[str, ...]:
    """Return the gang's nodes that do not answer, and so don't tell how their pods ended."""
    ended = {pod.index for pod in job.own_pods if pod.has_ended}
    places = enumerate(job.job.status.placement)
    return _distinct(place.node for index, place in places if index not in ended and not answers(place.node, context))


def _because_of(silent: Iterable[str]) -> str:
    names = ", ".join(silent)
    return f": no answer from {names}" if names else ""


def _left(leaving: list[Pod], context: Context) -> Trouble:
    first = min(leaving, key=lambda pod: (not pod.disruption, pod.index))
    others = f" and {pods(len(leaving) - 1)} more" if len(leaving) > 1 else ""
    why = f": {first.disruption}" if first.disruption else ""
    where = f" on {first.node}" if first.node else ""
    return _disrupted(leaving, f"pod {first.name}{where}{others} is being deleted{why}", context)


def _disrupted(gone: Iterable[Pod], message: str, context: Context) -> Trouble:
    return _taken(_distinct(pod.node for pod in gone), message, context)


def _taken(nodes: tuple[str, ...], message: str, context: Context) -> Trouble:
    lost = any(not answers(name, context) for name in nodes)
    return Trouble(Outcome.DISRUPTED, Reason.NODE_LOST if lost else Reason.POD_DISRUPTED, message, nodes)


def lost_capacity(job: Job, context: Context) -> Trouble | None:
    """Return why a reservation cannot be kept for pods that are not bound yet, or None if it can."""
    bound = {pod.index for pod in job.own_pods if pod.node is not None}
    asked = [resource for resource, amount in job.gang.per_pod if amount] if job.gang is not None else []
    for name in _distinct(place.node for index, place in enumerate(job.job.status.placement) if index not in bound):
        node = context.nodes.get(name)
        if node is None or not node.ready or node.cordoned:
            what = "gone" if node is None else "not ready" if not node.ready else "cordoned"
            message = f"node {name} is {what}, before all its pods were bound"
            return Trouble(Outcome.ROLLED_BACK, Reason.NODE_UNAVAILABLE, message, (name,))
        overdrawn = next((resource for resource in asked if node.free.get(resource, 0) < 0), None)
        if overdrawn is not None:
            message = (
                f"node {name} lacks {amount_of(overdrawn, -node.free[overdrawn])} of what is promised there: taken by "
                "pods that Ballast did not place, or by pods that the API server made larger than their template"
            )
            return Trouble(Outcome.ROLLED_BACK, Reason.CAPACITY_TAKEN, message, (name,))
    return None


def late(job: Job, context: Context) -> Trouble | None:
    """Return why a gang that should run by now does not, or None while there is time."""
    waited = context.now - job.job.status.attempts[-1].started_at.timestamp()
    replicas = job.job.spec.replicas
    missing = replicas - len({pod.index for pod in job.own_pods if not pod.deleting})
    if missing and job.refused_pods:
        message = f"{missing} of {pods(replicas)} cannot be created: {job.refused_pods}"
        return Trouble(Outcome.ROLLED_BACK, Reason.PODS_REFUSED, message)
    if waited < context.policy.placement_timeout_seconds:
        return None
    waiting = [pod for pod in job.own_pods if pod.phase == "Pending"]
    stuck = sorted((pod for pod in waiting if pod.stuck), key=lambda pod: (not _by_itself(pod), pod.index))
    message = f"after {waited:.0f} s {_not_running(job)} of {pods(replicas)} did not run"
    if stuck and stuck[0].stuck is not None:
        message += f"; pod {stuck[0].name}: {stuck[0].stuck.reason}: {stuck[0].stuck.message}"
    elif missing:
        message += f"; {missing} were never created"
    if stuck and _by_itself(stuck[0]):
        return Trouble(Outcome.FAILED, Reason.POD_CANNOT_START, message)
    placement = job.job.status.placement
    avoid = _distinct(placement[pod.index].node for pod in stuck or waiting if pod.index < len(placement))
    return Trouble(Outcome.ROLLED_BACK, Reason.PLACEMENT_TIMEOUT, message, avoid)


def _by_itself(pod: Pod) -> bool:
    return pod.stuck is not None and pod.stuck.by_itself


def _not_running(job: Job) -> int:
    running = {pod.index for pod in job.own_pods if pod.phase in {"Running", "Succeeded"} and not pod.deleting}
    return job.job.spec.replicas - len(running)


def _distinct(names: Iterable[str | None]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name for name in names if name))[:MAX_AVOIDED]
