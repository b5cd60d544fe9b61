"""At which operating point a running job is, all of its GPUs alike, as their agents have read it back from the boards.

Pure. What must hold: a point is told only while every GPU of the gang has exactly what was asked of it, and no other
pod shares one. The operator knows sooner than any agent that it has asked for something else: from then on there is no
point until all have confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ballast.api.jobstatus import Phase
from ballast.decide.gpu_asks import Ask, HeldGpu
from ballast.decide.snapshot import Job
from ballast.observe.boards import Boards


@dataclass(frozen=True, slots=True)
class HeldPoint:
    """What a job is measured at; another one is another measurement.

    Attributes:
        attempt: of the job.
        pods: their UIDs.
        gpus: of all of them.
        limit_watts: power limit of each GPU.
        max_clock_hertz: that no GPU exceeds.
    """

    attempt: int
    pods: tuple[str, ...]
    gpus: int
    limit_watts: float
    max_clock_hertz: int


def held_point(job: Job, asked: Iterable[Ask], boards: Boards | None) -> HeldPoint | None:
    """Return at which point a job is; None while that is not the same, and confirmed, for all of its GPUs.

    Args:
        job: the job.
        asked: what it asks of its GPUs now.
        boards: what its boards have in common.
    """
    status = job.job.status
    if boards is None or boards.divided or status.phase is not Phase.RUNNING:
        return None
    pods = [pod for pod in job.own_pods if not pod.has_ended]
    wanted = {ask.pod_uid: ask for ask in asked}
    held = [(gpu, wanted.get(pod.uid)) for pod in pods for gpu in job.held_gpus.get(pod.uid, ())]
    total = sum(place.gpus for place in status.placement)
    if not held or len(pods) != len(status.placement) or len(held) != total:
        return None
    if not all(_is_settled(gpu, ask) for gpu, ask in held):
        return None
    points = {(_limit(gpu), _clock(gpu) or boards.max_hertz) for gpu, _ in held}
    limit, clock = points.pop()
    if points or limit is None or clock is None:
        return None
    return HeldPoint(job.attempt, tuple(pod.uid for pod in pods), total, limit, clock)


def _is_settled(gpu: HeldGpu, ask: Ask | None) -> bool:
    """Return whether a GPU has what is asked of it, and nothing else."""
    if gpu.shared or gpu.problem is not None:
        return False
    has_limit = gpu.has_limit(ask.power_limit_watts if ask is not None else None)
    return has_limit and (_clock(gpu) is None) == (ask is None or ask.max_clock_hertz is None)


def _limit(gpu: HeldGpu) -> float | None:
    enforced = gpu.enforced.power_limit_watts if gpu.enforced is not None else None
    return enforced if enforced is not None else gpu.found_watts


def _clock(gpu: HeldGpu) -> int | None:
    return gpu.enforced.max_clock_hertz if gpu.enforced is not None else None
