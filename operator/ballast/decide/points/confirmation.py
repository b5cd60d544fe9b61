"""Tells a running job what became of its operating point: which GPUs it holds, and what they have.

Pure. What must hold: a figure in the status was read back from a board by its agent; a job of mode `None` is told of
its GPUs only; one of mode `Auto` is told why its point was chosen, also if that is what was found; nothing is written
while nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from ballast.api.conditions import Condition, ConditionType, Reason, find_condition, set_condition
from ballast.api.jobstatus import PodPlacement
from ballast.api.quantities import FREQUENCY, POWER
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.gpu_asks import Ask, HeldGpu
from ballast.decide.operating_point import asks
from ballast.decide.points.auto_point import is_auto, obstacle
from ballast.decide.snapshot import Job
from ballast.decide.telling import moment, status_of

SHOWN_PROBLEMS = 2

_Verdict: TypeAlias = tuple[bool | None, Reason, str]
"""Status, reason and message of the condition."""


def confirm(job: Job, now: float) -> WriteStatus | None:
    """Return the write that brings a running job's placement and condition up to date, or None if they are."""
    status = job.job.status
    uids = {pod.index: pod.uid for pod in job.own_pods}
    placement = tuple(
        _seen(place, job.held_gpus.get(uids.get(index, ""), ())) for index, place in enumerate(status.placement)
    )
    verdict = _verdict(job)
    conditions, note = _told(job, verdict, now) if verdict is not None else (status.conditions, None)
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


def _told(job: Job, verdict: _Verdict, now: float) -> tuple[tuple[Condition, ...], Note | None]:
    status, reason, message = verdict
    conditions = job.job.status.conditions
    kind = ConditionType.OPERATING_POINT_SET
    before = find_condition(conditions, kind)
    after = set_condition(
        conditions, kind, status, reason, message, generation=job.job.metadata.generation, now=moment(now)
    )
    is_news = reason is not Reason.POINT_PENDING and (before is None or before.reason != reason)
    # What Ballast itself chose was told when it was chosen; and to begin as found is no event.
    is_told = is_auto(job) and status is True
    note = Note("OperatingPoint", message, warning=status is False) if is_news and not is_told else None
    return after, note


def _verdict(job: Job) -> _Verdict | None:
    """Return what is said of the job's operating point; None if nothing is."""
    chosen = job.job.status.operating_point if is_auto(job) else None
    asked = asks(job)
    if asked:
        status, reason, message = _of_asked(job, asked)
        return status, reason, f"{message}. {chosen.why}" if chosen is not None and chosen.why else message
    if not is_auto(job):
        return None
    return _of_found(job, chosen.why if chosen is not None else obstacle(job))


def _of_found(job: Job, why: str | None) -> _Verdict | None:
    """Return what is said of GPUs that stay as they were found, or come back to that."""
    if not why:
        return None
    held = [gpu for pod in job.own_pods for gpu in job.held_gpus.get(pod.uid, ())]
    if len(held) < sum(place.gpus for place in job.job.status.placement):
        return None
    back = [gpu for gpu in held if gpu.has_limit(None)]
    if len(back) == len(held):
        return True, Reason.POINT_AS_FOUND, why
    message = f"{len(held) - len(back)} of {len(held)} GPUs are yet to be as they were found: {why}"
    return None, Reason.POINT_PENDING, message


def _of_asked(job: Job, asked: tuple[Ask, ...]) -> _Verdict:
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
    if gpu.enforced is None:
        return gpu.shared
    has_clock = ask.max_clock_hertz is None or gpu.enforced.max_clock_hertz is not None
    return has_clock and (ask.power_limit_watts is None or gpu.has_limit(ask.power_limit_watts))


def _in_words(watts: float | None, hertz: int | None) -> str:
    parts = [POWER.human(watts)] if watts is not None else []
    return " and ".join([*parts, *([f"at most {FREQUENCY.human(hertz)}"] if hertz is not None else [])])


def _points(gpus: Iterable[HeldGpu]) -> str:
    words = {_in_words(gpu.enforced.power_limit_watts, gpu.enforced.max_clock_hertz) for gpu in gpus if gpu.enforced}
    return ", ".join(sorted(words))


def _found(gpus: Iterable[HeldGpu]) -> str:
    watts = sorted({gpu.found_watts for gpu in gpus if gpu.found_watts is not None})
    return ", ".join(POWER.human(each) for each in watts) or "a limit that they do not tell"
