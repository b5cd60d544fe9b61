"""Tells a running job what became of its operating point: which GPUs it holds, and what they have.

Pure. What must hold: a figure in the status was read back from a board by its agent; a job that asked for nothing is
told of its GPUs only; nothing is written while nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable

from ballast.api.conditions import Condition, ConditionType, Reason, find_condition, set_condition
from ballast.api.jobstatus import PodPlacement
from ballast.api.quantities import FREQUENCY, POWER
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.gpu_asks import Ask, HeldGpu
from ballast.decide.operating_point import asks
from ballast.decide.snapshot import Job
from ballast.decide.telling import moment, status_of

SHOWN_PROBLEMS = 2


def confirm(job: Job, now: float) -> WriteStatus | None:
    """Return the write that brings a running job's placement and condition up to date, or None if they are."""
    status = job.job.status
    uids = {pod.index: pod.uid for pod in job.own_pods}
    placement = tuple(
        _seen(place, job.held_gpus.get(uids.get(index, ""), ())) for index, place in enumerate(status.placement)
    )
    asked = asks(job)
    conditions, note = _with_verdict(job, asked, now) if asked else (status.conditions, None)
    if placement == status.placement and conditions == status.conditions:
        return None
    new = status_of(job, placement=placement, conditions=conditions)
    return WriteStatus(job.job, Transition.TELL, new, note)


def _seen(place: PodPlacement, gpus: tuple[HeldGpu, ...]) -> PodPlacement:
    """Return a pod's place with the GPUs that its agent has seen; while that is silent, with those seen before."""
    if not gpus:
        return place
    points = {gpu.enforced for gpu in gpus}
    point = points.pop() if len(points) == 1 else None
    return place.model_copy(update={"gpu_uuids": tuple(sorted(gpu.uuid for gpu in gpus)), "operating_point": point})


def _with_verdict(job: Job, asked: tuple[Ask, ...], now: float) -> tuple[tuple[Condition, ...], Note | None]:
    status, reason, message = _verdict(job, asked)
    conditions = job.job.status.conditions
    kind = ConditionType.OPERATING_POINT_SET
    before = find_condition(conditions, kind)
    after = set_condition(
        conditions, kind, status, reason, message, generation=job.job.metadata.generation, now=moment(now)
    )
    is_news = reason is not Reason.POINT_PENDING and (before is None or before.reason != reason)
    note = Note("OperatingPoint", message, warning=status is False) if is_news else None
    return after, note


def _verdict(job: Job, asked: tuple[Ask, ...]) -> tuple[bool | None, Reason, str]:
    wanted = _in_words(asked[0].power_limit_watts, asked[0].max_clock_hertz)
    places = {pod.uid: job.job.status.placement[pod.index] for pod in job.own_pods}
    held = {ask.pod_uid: job.held_gpus.get(ask.pod_uid, ()) for ask in asked}
    problems = [f"{gpu.uuid}: {gpu.problem}" for gpus in held.values() for gpu in gpus if gpu.problem is not None]
    if problems:
        more = f"; and {len(problems) - SHOWN_PROBLEMS} more" if len(problems) > SHOWN_PROBLEMS else ""
        return False, Reason.POINT_REFUSED, f"{wanted} is not set: {'; '.join(sorted(problems)[:SHOWN_PROBLEMS])}{more}"
    total = sum(places[ask.pod_uid].gpus for ask in asked)
    done = [gpu for ask in asked for gpu in held[ask.pod_uid] if _has(gpu, ask)]
    if len(done) < total:
        nodes = sorted(
            {ask.node for ask in asked if sum(_has(g, ask) for g in held[ask.pod_uid]) < places[ask.pod_uid].gpus}
        )
        return (
            None,
            Reason.POINT_PENDING,
            f"{len(done)} of {total} GPUs have {wanted}; waiting for the agent of {', '.join(nodes[:3])}",
        )
    return True, Reason.POINT_CONFIRMED, f"{total} GPU{'s' * (total != 1)} at {_points(done)}; found at {_found(done)}"


def _has(gpu: HeldGpu, ask: Ask) -> bool:
    """Return whether a GPU has what was asked for, or a shared one something looser, for the sake of a neighbour."""
    point = gpu.enforced
    if point is None:
        return gpu.shared
    limit, clock = point.power_limit_watts, point.max_clock_hertz
    return (ask.power_limit_watts is None or limit is None or limit >= ask.power_limit_watts - 0.5) and (
        ask.max_clock_hertz is None or clock is not None
    )


def _in_words(watts: float | None, hertz: int | None) -> str:
    parts = [POWER.human(watts)] if watts is not None else []
    return " and ".join([*parts, *([f"at most {FREQUENCY.human(hertz)}"] if hertz is not None else [])])


def _points(gpus: Iterable[HeldGpu]) -> str:
    words = {_in_words(gpu.enforced.power_limit_watts, gpu.enforced.max_clock_hertz) for gpu in gpus if gpu.enforced}
    return ", ".join(sorted(words))


def _found(gpus: Iterable[HeldGpu]) -> str:
    watts = sorted({gpu.found_watts for gpu in gpus if gpu.found_watts is not None})
    return ", ".join(POWER.human(each) for each in watts) or "a limit that they do not tell"
