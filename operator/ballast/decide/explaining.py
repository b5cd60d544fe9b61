"""What waiting jobs are told: why they wait, where they stand in the queue, and when their turn comes.

A status is written when the reason changes, what speaks against an option, or the coarsely rounded place in the queue,
not whenever a number in them does: the numbers are those of the moment in which the reason came up. A job that fair
share puts back is told so when its place is written, and likewise when that is over.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from ballast.api.conditions import ConditionType, Reason, find_condition
from ballast.api.decision import Decision, DecisionKind
from ballast.api.jobstatus import Phase, QueueStatus
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.fair_share import FairShares
from ballast.decide.gang_request import GangRequest
from ballast.decide.options_told import decision, is_reconsidered
from ballast.decide.preemption import NOBODY, Preemptions
from ballast.decide.queueing import Admissions
from ballast.decide.snapshot import Ahead, Job, Refusal, Snapshot
from ballast.decide.telling import moment, status_of, with_condition

EXACT_POSITIONS = 10
PUT_BACK = "counts as queued"


def explain(snapshot: Snapshot, admissions: Admissions, preemptions: Preemptions = NOBODY) -> list[WriteStatus]:
    """Tell the reviewed jobs why they wait, where that is not what their status says already.

    Those for which others are being stopped know why.
    """
    writes: list[WriteStatus] = []
    told_already = admissions.uids.union(
        (claim.job.uid for claim in snapshot.claims), (write.job.metadata.uid for write in preemptions.writes)
    )
    weighed: dict[GangRequest | None, Decision | None] = {}  # the jobs of a lane have the same options
    for job in snapshot.review:
        if job.uid in told_already:
            continue
        if job.gang is None:
            refusal = Refusal(Reason.INVALID_SPEC, job.problem or "the spec cannot be used")
        elif job.gang in admissions.refused:
            refusal = _with_share(job, admissions.refused[job.gang], snapshot.shares)
            if job.uid in preemptions.told:
                refusal = replace(refusal, message=f"{refusal.message}; {preemptions.told[job.uid]}")
        else:
            continue
        queue = _queue(job, snapshot) if job.gang is not None else None
        if job.gang not in weighed:
            weighed[job.gang] = decision(refusal.weighed, DecisionKind.WAITING, snapshot.now)
        options = weighed[job.gang]
        told = _is_told(job, refusal)
        reconsidered = is_reconsidered(job.job.status.decision, options)
        if not told or reconsidered or _has_moved(job.job.status.queue, queue, snapshot.now):
            explains = not told or PUT_BACK in refusal.message or _was_put_back(job)
            decided = options if not told or reconsidered else job.job.status.decision
            writes.append(_waiting(job, refusal, queue, decided, snapshot.now, says_new=not told, explains=explains))
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


def _with_share(job: Job, refusal: Refusal, shares: FairShares) -> Refusal:
    """Return the refusal, with what fair share has to do with the wait, where it has."""
    if job.ahead is None or not job.ahead.put_back_seconds or refusal.reason is not Reason.WAITING_FOR_CAPACITY:
        return refusal
    used, fair = shares.used.get(job.namespace, 0), round(shares.fair[job.namespace], 1)
    minutes = max(round(job.ahead.put_back_seconds / 60), 1)
    why = f"namespace {job.namespace} uses {used} GPUs of its fair {fair:g}: {PUT_BACK} {minutes} min later"
    return replace(refusal, message=f"{refusal.message}; {why}")


def _is_told(job: Job, refusal: Refusal) -> bool:
    condition = find_condition(job.job.status.conditions, ConditionType.ADMITTED)
    return (
        job.job.status.phase is Phase.QUEUED
        and condition is not None
        and not condition.is_true
        and condition.reason == refusal.reason
        and condition.observed_generation == job.job.metadata.generation
    )


def _was_put_back(job: Job) -> bool:
    condition = find_condition(job.job.status.conditions, ConditionType.ADMITTED)
    return condition is not None and PUT_BACK in condition.message


def _waiting(
    job: Job,
    refusal: Refusal,
    queue: QueueStatus | None,
    decided: Decision | None,
    now: float,
    *,
    says_new: bool,
    explains: bool,
) -> WriteStatus:
    update: dict[str, Any] = {"queue": queue, "decision": decided}
    if explains:
        update["conditions"] = with_condition(
            job, job.job.status.conditions, ConditionType.ADMITTED, False, refusal.reason, refusal.message, now
        )
    note: Note | None = None
    if says_new:
        update |= {
            "phase": Phase.QUEUED,
            "reason": refusal.reason.value,
            "queued_at": moment(job.queued_at),
            "retry_at": None,
            "gpus": job.job.gpus,
        }
        warning = refusal.reason is not Reason.WAITING_FOR_CAPACITY
        note = Note(refusal.reason.value, refusal.message, warning=warning)
    return WriteStatus(job.job, Transition.QUEUE, status_of(job, **update), note)
