"""What waiting jobs are told: why they wait, where they stand in the queue, and when their turn comes.

A status is written when the reason changes or the coarsely rounded place in the queue does, not whenever a number in
the message does: the numbers are those of the moment in which the reason came up.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.api.jobstatus import Phase, QueueStatus
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.queueing import Admissions
from ballast.decide.snapshot import Ahead, Job, Refusal, Snapshot
from ballast.decide.telling import moment, status_of, with_condition

EXACT_POSITIONS = 10


def explain(snapshot: Snapshot, admissions: Admissions) -> list[WriteStatus]:
    """Tell the reviewed jobs why they wait, where that is not what their status says already."""
    writes: list[WriteStatus] = []
    admitted = admissions.uids
    for job in snapshot.review:
        if job.uid in admitted:
            continue
        if job.gang is None:
            refusal = Refusal(Reason.INVALID_SPEC, job.problem or "the spec cannot be used")
        elif job.gang in admissions.refused:
            refusal = admissions.refused[job.gang]
        else:
            continue
        queue = _queue(job, snapshot) if job.gang is not None else None
        told = _is_told(job, refusal)
        if not told or _has_moved(job.job.status.queue, queue, snapshot.now):
            writes.append(_waiting(job, refusal, queue, snapshot.now, says_new=not told))
    return writes


def rounded_up(position: int) -> int:
    """Return a place in the queue, exact to 10 and above that the next of 20, 50, 100, 200, ...

    A job that moves forward through ten thousand is written a dozen times, not ten thousand.
    """
    if position <= EXACT_POSITIONS:
        return position
    scale = 10
    while True:
        for step in (2 * scale, 5 * scale, 10 * scale):
            if position <= step:
                return step
        scale *= 10


def _queue(job: Job, snapshot: Snapshot) -> QueueStatus | None:
    if job.ahead is None:
        return None
    return QueueStatus(position=rounded_up(job.ahead.jobs), predicted_start=_predicted(job.ahead, snapshot))


def _predicted(ahead: Ahead, snapshot: Snapshot) -> datetime | None:
    """Return when the GPUs asked for up to and with this job have been given out, at the present pace."""
    if not snapshot.gpus_per_second:
        return None
    wait = ahead.gpus / snapshot.gpus_per_second
    minutes = max(-(-wait // 60), 1)
    return moment(snapshot.now + 60 * minutes)


def _has_moved(told: QueueStatus | None, queue: QueueStatus | None, now: float) -> bool:
    if queue is None:
        return False
    if told is None or told.position != queue.position:
        return True
    if queue.predicted_start is None:
        return False
    return told.predicted_start is None or told.predicted_start.timestamp() < now


def _is_told(job: Job, refusal: Refusal) -> bool:
    condition = find_condition(job.job.status.conditions, ConditionType.ADMITTED)
    return (
        job.job.status.phase is Phase.QUEUED
        and condition is not None
        and not condition.is_true
        and condition.reason == refusal.reason
        and condition.observed_generation == job.job.metadata.generation
    )


def _waiting(job: Job, refusal: Refusal, queue: QueueStatus | None, now: float, *, says_new: bool) -> WriteStatus:
    update: dict[str, Any] = {"queue": queue}
    note: Note | None = None
    if says_new:
        update |= {
            "phase": Phase.QUEUED,
            "reason": refusal.reason.value,
            "queued_at": moment(job.queued_at),
            "retry_at": None,
            "gpus": job.job.gpus,
            "conditions": with_condition(
                job, job.job.status.conditions, ConditionType.ADMITTED, False, refusal.reason, refusal.message, now
            ),
        }
        warning = refusal.reason is not Reason.WAITING_FOR_CAPACITY
        note = Note(refusal.reason.value, refusal.message, warning=warning)
    return WriteStatus(job.job, Transition.QUEUE, status_of(job, **update), note)
