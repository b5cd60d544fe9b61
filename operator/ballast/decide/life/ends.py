"""How attempts and jobs end, and what follows: each function is one transition of the status, written whole.

What must hold: what an attempt ran is added up once, when its pods are gone; the outcome that was decided when a stop
began is what is acted on when it is done, also by another operator; a job in the queue holds nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ballast.api.conditions import Condition, ConditionType, Reason
from ballast.api.jobstatus import MAX_ATTEMPT_MESSAGE, Attempt, EnergyStatus, Outcome, Phase, TrainingJobStatus
from ballast.decide.actions import Note, Transition, WriteStatus
from ballast.decide.life.reporting import at_rest
from ballast.decide.life.trouble import Trouble
from ballast.decide.snapshot import Context, Job
from ballast.decide.telling import moment, pods, status_of, with_condition

HELD = (
    ConditionType.ADMITTED,
    ConditionType.PLACED,
    ConditionType.RUNNING,
    ConditionType.OPERATING_POINT_SET,
)
COUNTED = frozenset({Outcome.FAILED})
"""What counts against `retryLimit`."""
BY_THE_CLUSTER = frozenset({Outcome.ROLLED_BACK, Outcome.DISRUPTED})
"""What the trainer has no part in: it is tried again, elsewhere if that can be."""


def stop(job: Job, now: float, why: Trouble) -> WriteStatus:
    """Begin to end an attempt whose pods may still run; the job stays admitted until they are gone."""
    status = job.job.status
    attempt = _attempt(job, stopped_at=moment(now), outcome=why.outcome, **_told(why))
    grace = job.job.spec.checkpoint_grace_seconds
    message = f"{why.message}; its pods get {grace} s to save and end"
    conditions = status.conditions
    if any(condition.type == ConditionType.RUNNING for condition in conditions):
        conditions = with_condition(job, conditions, ConditionType.RUNNING, False, why.reason, message, now)
    new = status_of(
        job,
        phase=Phase.SUSPENDING,
        reason=why.reason.value,
        attempts=(*status.attempts[:-1], attempt),
        conditions=conditions,
    )
    note = Note(why.reason.value, message, warning=why.outcome is not Outcome.SUSPENDED)
    return WriteStatus(job.job, Transition.STOP, new, note)


def finish(job: Job, context: Context, why: Trouble) -> WriteStatus:
    """End an attempt whose pods are gone: suspended, queued again, or failed for good."""
    now = context.now
    ended = _with_attempt_ended(job, now, outcome=why.outcome, **_told(why)).model_copy(
        update={"failures": job.job.status.failures + (why.outcome in COUNTED)}
    )
    if _is_final(job, why, ended):
        return _fail(job, ended, why, now)
    waiting = _without_place(ended)
    if job.job.spec.suspend:
        return _suspended(job, waiting, now)
    return _requeue(job, waiting, why, context)


def _without_place(status: TrainingJobStatus) -> TrainingJobStatus:
    """Return the status of a job that holds no nodes: what was expected to be drawn there goes with them."""
    energy = status.energy
    if energy is not None:
        energy = energy.model_copy(update={"predicted_watts": None})
    return status.model_copy(
        update={"placement": (), "nodes": None, "energy": energy if energy != EnergyStatus() else None}
    )


def _is_final(job: Job, why: Trouble, ended: TrainingJobStatus) -> bool:
    if why.reason is Reason.INVALID_SPEC or why.outcome is Outcome.DEADLINE_EXCEEDED:
        return True
    return why.outcome is Outcome.FAILED and ended.failures > job.job.spec.retry_limit


def _requeue(job: Job, ended: TrainingJobStatus, why: Trouble, context: Context) -> WriteStatus:
    now = context.now
    pause = _pause(ended, why, context)
    limit = job.job.spec.retry_limit
    counted = f" (failure {ended.failures}, retryLimit {limit})" if why.outcome in COUNTED else ""
    again = f"tried again in {pause:.0f} s" if pause else "queued again"
    message = f"attempt {job.attempt} ended{counted}: {why.message}; {again}"
    resumed = why.outcome is Outcome.SUSPENDED
    new = ended.model_copy(
        update={
            "phase": Phase.QUEUED,
            "reason": why.reason.value,
            "retry_at": moment(now + pause) if pause else None,
            "queued_at": moment(now) if resumed else moment(job.queued_at),
            "conditions": _released(job, ended.conditions, why.reason, message, now),
        }
    )
    return WriteStatus(job.job, Transition.REQUEUE, new, Note("Requeued", message, warning=not resumed))


def _pause(ended: TrainingJobStatus, why: Trouble, context: Context) -> float:
    """Return how long to wait: longer with each failure in a row; not at all after the first disruption."""
    match why.outcome:
        case Outcome.FAILED:
            return context.policy.pause(ended.failures)
        case Outcome.SUSPENDED | Outcome.PREEMPTED:
            return 0.0
        case _:
            in_a_row = 0
            for attempt in reversed(ended.attempts):
                if attempt.outcome not in BY_THE_CLUSTER:
                    break
                in_a_row += 1
                if _ran_seconds(attempt) >= context.policy.retry_max_seconds:  # a new beginning
                    break
            if why.outcome is Outcome.DISRUPTED and in_a_row <= 1:
                return 0.0
            return context.policy.pause(in_a_row)


def succeed(job: Job, now: float) -> WriteStatus:
    """End a job whose trainers all exited with 0."""
    message = f"{pods(job.job.spec.replicas)} finished with exit code 0" + _after(job, now)
    reason = Reason.TRAINING_SUCCEEDED
    ended = _with_attempt_ended(job, now, outcome=Outcome.SUCCEEDED, reason=reason.value)
    new = _final(job, ended, Phase.SUCCEEDED, ConditionType.COMPLETE, reason, message, now)
    return WriteStatus(job.job, Transition.SUCCEED, new, Note("Succeeded", message))


def _fail(job: Job, ended: TrainingJobStatus, why: Trouble, now: float) -> WriteStatus:
    failures, limit = ended.failures, job.job.spec.retry_limit
    tried = f" ({failures} failure{'s' * (failures != 1)}, retryLimit {limit})" if failures > limit else ""
    message = why.message + tried + _after(job, now)
    # Where its last pods were stays readable: their logs are there.
    new = _final(job, ended, Phase.FAILED, ConditionType.FAILED, why.reason, message, now)
    return WriteStatus(job.job, Transition.FAIL, new, Note("Failed", message, warning=True))


def suspend(job: Job, now: float) -> WriteStatus:
    """Take a waiting job out of the queue."""
    return _suspended(job, status_of(job), now)


def _suspended(job: Job, status: TrainingJobStatus, now: float) -> WriteStatus:
    message = "spec.suspend is true: nothing runs for it until that is false"
    new = status.model_copy(
        update={
            "phase": Phase.SUSPENDED,
            "reason": Reason.SUSPENDED.value,
            "gpus": job.job.gpus,
            "queue": None,
            "preemption": None,
            "retry_at": None,
            "conditions": _released(job, status.conditions, Reason.SUSPENDED, message, now),
        }
    )
    return WriteStatus(job.job, Transition.SUSPEND, new, Note("Suspended", message))


def resume(job: Job, now: float) -> WriteStatus:
    """Put a suspended job back into the queue, behind those that waited meanwhile."""
    message = "spec.suspend is false again"
    status = job.job.status
    conditions = with_condition(job, status.conditions, ConditionType.ADMITTED, False, Reason.RESUMED, message, now)
    new = status_of(job, phase=Phase.QUEUED, reason=Reason.RESUMED.value, queued_at=moment(now), conditions=conditions)
    return WriteStatus(job.job, Transition.QUEUE, new, Note("Resumed", message))


def _final(
    job: Job,
    status: TrainingJobStatus,
    phase: Phase,
    kind: ConditionType,
    reason: Reason,
    message: str,
    now: float,
) -> TrainingJobStatus:
    conditions = with_condition(job, status.conditions, kind, True, reason, message, now)
    return status.model_copy(
        update={
            "phase": phase,
            "reason": reason.value,
            "finished_at": moment(now),
            "queue": None,
            "retry_at": None,
            "conditions": _released(job, conditions, Reason.FINISHED, "the job has ended", now),
        }
    )


def _released(
    job: Job, conditions: tuple[Condition, ...], reason: Reason, message: str, now: float
) -> tuple[Condition, ...]:
    """Return the conditions with those set to false that say that the gang is admitted, placed and runs."""
    known = {condition.type for condition in conditions}
    for kind in HELD:
        if kind in known or kind is ConditionType.ADMITTED:
            conditions = with_condition(job, conditions, kind, False, reason, message, now)
    return conditions


def _attempt(job: Job, **update: Any) -> Attempt:
    return job.job.status.attempts[-1].model_copy(update=update)


def _with_attempt_ended(job: Job, now: float, **update: Any) -> TrainingJobStatus:
    """Return the status with the latest attempt ended now, and what it ran added up."""
    status = job.job.status
    attempt = _attempt(job, finished_at=moment(now), **update)
    active_seconds = status.active_seconds + _ran_seconds(attempt)
    ended = status_of(
        job, attempts=(*status.attempts[:-1], attempt), active_seconds=active_seconds, operating_point=None
    )
    return at_rest(job, ended)


def _ran_seconds(attempt: Attempt) -> int:
    """Return for how long the whole gang of an attempt that has ended ran."""
    if attempt.running_at is None or attempt.finished_at is None:
        return 0
    return max(round((attempt.finished_at - attempt.running_at).total_seconds()), 0)


def _told(why: Trouble) -> dict[str, Any]:
    return {"reason": why.reason.value, "message": _cut(why.message), "avoid": why.avoid}


def _cut(message: str) -> str:
    return message if len(message) <= MAX_ATTEMPT_MESSAGE else message[: MAX_ATTEMPT_MESSAGE - 1] + "…"


def _after(job: Job, now: float) -> str:
    started = job.job.status.started_at
    return f", {now - started.timestamp():.0f} s after they started" if started is not None else ""


def avoided(attempts: Iterable[Attempt]) -> tuple[str, ...]:
    """Return the nodes on which the last attempts in a row got stuck, sorted."""
    nodes: set[str] = set()
    for attempt in reversed(tuple(attempts)):
        if attempt.outcome not in BY_THE_CLUSTER:
            break
        nodes.update(attempt.avoid)
    return tuple(sorted(nodes))
