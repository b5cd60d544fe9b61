"""Which operating point each pod's GPUs are to have, and what a GPU may draw until its agent has confirmed that.

Pure. With `Fixed` it is the user's point, with `Auto` what `ballast.decide.points.auto_point` chose; with `None`, and
where the limit that was found is chosen, nothing is asked and GPUs stay as they were found. What must hold: a pod's
point stands in its node's NodePower before the pod can start, and until it is gone; while a change is not confirmed
the larger of the old and the new limit counts (G1).
"""

from __future__ import annotations

from collections.abc import Iterable

from ballast.api.jobenergy import OperatingPointMode
from ballast.api.jobstatus import Phase
from ballast.api.nodepower import MAX_PODS, PodOperatingPoint
from ballast.api.nodestatus import GpuStatus
from ballast.api.operatingpoint import OperatingPoint
from ballast.decide.gpu_asks import Ask
from ballast.decide.model.known_limits import whole
from ballast.decide.snapshot import Job, Pod

HOLDING = frozenset({Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING})


def asks(job: Job) -> tuple[Ask, ...]:
    """Return what the job asks of the GPUs of each of its pods that may run; empty if they are to stay as found."""
    if job.job.status.phase not in HOLDING:
        return ()
    limit, clock = _wanted(job)
    if limit is None and clock is None:
        return ()
    found = []
    for pod in job.own_pods:
        node = _node_of(job, pod)
        if node is not None and not pod.has_ended:
            found.append(Ask(node, pod.uid, job.namespace, pod.name, limit, clock))
    return tuple(found)


def _wanted(job: Job) -> tuple[float | None, int | None]:
    """Return the power limit and the highest clock that the job's GPUs are to have; None for what is left as found."""
    point, chosen = job.job.spec.energy.operating_point, job.job.status.operating_point
    match point.mode:
        case OperatingPointMode.FIXED:
            limit = float(point.power_limit) if point.power_limit is not None else None
            return limit, int(point.max_clock) if point.max_clock is not None else None
        case OperatingPointMode.AUTO if chosen is not None and not is_as_found(job, chosen.power_limit_watts):
            return chosen.power_limit_watts, None
        case _:
            return None, None


def is_as_found(job: Job, limit_watts: float) -> bool:
    """Return whether a power limit is the one that was found on the job's GPUs, as far as their agents have told."""
    told = {gpu.found_watts for gpus in job.held_gpus.values() for gpu in gpus if gpu.found_watts is not None}
    if job.learned is not None and job.learned.gpu is not None:
        told.add(job.learned.gpu.max_limit_watts)
    return bool(told) and all(whole(limit_watts) == whole(found) for found in told)


def _node_of(job: Job, pod: Pod) -> str | None:
    """Return the node on which the pod has, or will have, GPUs."""
    placement = job.job.status.placement
    if pod.index >= len(placement) or not placement[pod.index].gpus:
        return None
    return pod.node or placement[pod.index].node


def assignments(asked: Iterable[Ask], gpus: Iterable[GpuStatus]) -> tuple[PodOperatingPoint, ...]:
    """Return the entries of a node's `spec.pods`, by UID; none before its agent has told of its GPUs.

    A clock is locked to a range: from the lowest that all of the node's GPUs know to the one asked for. A GPU that
    knows no range gets the same at both ends, and its agent says that it cannot.
    """
    known = tuple(gpus)
    if not known:
        return ()
    lowest = max((gpu.clock.min_hertz for gpu in known if gpu.clock is not None), default=None)
    entries = [
        PodOperatingPoint(
            uid=ask.pod_uid, namespace=ask.namespace, name=ask.pod_name, operating_point=_point(ask, lowest)
        )
        for ask in sorted(asked, key=lambda ask: ask.pod_uid)
    ]
    return tuple(entries[:MAX_PODS])


def _point(ask: Ask, lowest_hertz: int | None) -> OperatingPoint:
    highest = ask.max_clock_hertz
    lowest = None if highest is None else min(lowest_hertz or highest, highest)
    return OperatingPoint(power_limit_watts=ask.power_limit_watts, min_clock_hertz=lowest, max_clock_hertz=highest)


def reserved_watts(gpu: GpuStatus, asked_watts: Iterable[float | None]) -> float | None:
    """Return the most that a GPU may draw until what is asked of it is confirmed, in watts.

    That is the larger of what it has and of what was asked for; of pods that share it the loosest counts, and None
    among them stands for what was found. None comes of a GPU that does not tell its limit.

    Args:
        gpu: as its agent told of it.
        asked_watts: the power limit that each of its pods asks for; empty if nobody asks anything of it.
    """
    if gpu.power_limit is None:
        return None
    found = gpu.power_limit.found_watts
    has = gpu.enforced.operating_point.power_limit_watts if gpu.enforced is not None else None
    wanted = [found if watts is None else watts for watts in asked_watts]
    return max(has if has is not None else found, max(wanted, default=found))
