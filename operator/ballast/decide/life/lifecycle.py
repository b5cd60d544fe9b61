"""The next step of a job that is more than waiting for capacity: create, ungate, run, stop, end.

Level-triggered: each step is derived from what exists, so that a restart at any point goes on where the world
stands. What must hold: no pod of a gang is ungated before all its pods exist and have a reserved node (G3), nor while
one of these nodes is marked as empty, so that somebody may be about to remove it; nothing is started for a job before
the pods of its last attempt are gone; a job that ended is touched only to be cleaned up; its status is written once in
a cycle at most, by its life before the ledger; one that is being deleted is accounted for and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ballast.api.conditions import ConditionType, Reason
from ballast.api.jobstatus import Outcome, Phase
from ballast.decide.actions import (
    Action,
    AskForRefusal,
    CreateObjects,
    Expire,
    Note,
    StopAttempt,
    Transition,
    Ungate,
    WriteStatus,
)
from ballast.decide.life import accounting, ends, trouble
from ballast.decide.life.reporting import at_start, report
from ballast.decide.life.trouble import Trouble, is_gone
from ballast.decide.points import auto_point
from ballast.decide.points.confirmation import confirm
from ballast.decide.points.time_left import stopped_at
from ballast.decide.policy import Policy
from ballast.decide.snapshot import Context, Job, Pod
from ballast.decide.telling import moment, pods, status_of, with_condition


def wants_place(job: Job, now: float) -> bool:
    """Return whether the job waits for nothing but capacity."""
    status = job.job.status
    if not status.phase.is_waiting or job.job.spec.suspend:
        return False
    return status.retry_at is None or status.retry_at.timestamp() <= now


def advance(job: Job, context: Context) -> list[Action]:
    """Return the next actions for a job; one that waits for something else needs none."""
    if job.job.metadata.deletion_timestamp is not None:
        return [*accounting.account(job, context)]
    actions = [*_remove_superseded(job), *_next(job, context)]
    actions += accounting.account(job, context, writes=not _writes(actions))
    told = report(job, context) if not _writes(actions) else None
    return actions if told is None else [*actions, told]


def _writes(actions: Iterable[Action]) -> bool:
    return any(isinstance(action, WriteStatus) for action in actions)


def _next(job: Job, context: Context) -> list[Action]:
    match job.job.status.phase:
        case Phase.PENDING | Phase.QUEUED:
            return [ends.suspend(job, context.now)] if job.job.spec.suspend else []
        case Phase.SUSPENDED:
            return [] if job.job.spec.suspend else [ends.resume(job, context.now)]
        case Phase.PLACING:
            actions = _place(job, context)
            return actions if _writes(actions) else [*_tune(job, context), *actions]
        case Phase.RUNNING:
            return _watch(job, context)
        case Phase.SUSPENDING:
            return _stop(job, context)
        case _:
            expires = _expires_at(job)
            due = expires is not None and expires <= context.now and job.uid not in job.removing
            # What its pods used would go with it, before anybody could read it.
            return [Expire(job.job)] if due and accounting.is_settled(job, context) else []


def _remove_superseded(job: Job) -> list[Action]:
    """Delete the Jobs of earlier attempts, but for the latest that ended by itself: its pods have the logs.

    An earlier attempt's Job that can still run is one that an operator made which had lost its leadership.
    """
    phase = job.job.status.phase
    live = phase in {Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING}
    kept = job.attempt - 1 if live else job.attempt
    return [
        StopAttempt(job.job, workload.name, workload.uid)
        for workload in job.workloads
        if not (live and workload.attempt == job.attempt)
        and not (workload.has_ended and workload.attempt >= kept)
        and not workload.deleting
        and workload.uid not in job.removing
    ]


def _place(job: Job, context: Context) -> list[Action]:
    """Create what is missing, then take the gates off, then wait until all pods run."""
    if job.job.spec.suspend:
        return [ends.stop(job, context.now, _suspended())]
    if job.workload is None:
        return _create(job, context)
    over = _is_over(job, context)
    if over is not None:
        return over
    found = trouble.disruption(job, context) or trouble.lost_capacity(job, context) or trouble.late(job, context)
    if found is not None:
        return [ends.stop(job, context.now, found)]
    living = {pod.index: pod for pod in job.own_pods if not pod.deleting}
    if len(living) < job.job.spec.replicas:
        return _ask_for_refusal(job, context)
    gated = [pod for pod in living.values() if pod.gate_position is not None]
    if gated:
        return [] if _is_marked_empty(job, context) else _ungate(job, gated)
    if all(pod.phase in {"Running", "Succeeded"} for pod in living.values()):
        return [_run(job, context)]
    return []


def _create(job: Job, context: Context) -> list[Action]:
    """Apply the attempt's objects, unless something speaks against it meanwhile."""
    if job.refused_objects is not None:
        why = f"the API server refused its objects: {job.refused_objects}"
        return [ends.finish(job, context, Trouble(Outcome.FAILED, Reason.INVALID_SPEC, why))]
    if job.creating:
        return []
    # Pods without a Job: somebody deleted it. Another one would put new pods beside those that are still going.
    found = trouble.disruption(job, context) if job.own_pods else None
    found = found or trouble.lost_capacity(job, context) or trouble.late(job, context)
    return [CreateObjects(job.job, job.attempt)] if found is None else [ends.stop(job, context.now, found)]


def _ask_for_refusal(job: Job, context: Context) -> list[Action]:
    waited = context.now - job.job.status.attempts[-1].started_at.timestamp()
    if waited < context.policy.missing_pods_seconds or job.refused_pods is not None or job.workload is None:
        return []
    return [AskForRefusal(job.job, job.workload.uid)]


def _is_marked_empty(job: Job, context: Context) -> bool:
    """Return whether a node of the gang is still marked as empty; that the mark goes is decided with the placement."""
    placed = {place.node for place in job.job.status.placement} & context.nodes.keys()
    return context.policy.mark_empty_nodes and any(context.nodes[name].mark.says_empty for name in placed)


def _ungate(job: Job, gated: Iterable[Pod]) -> list[Action]:
    placement = job.job.status.placement
    return [
        Ungate(job.job, pod.name, pod.uid, placement[pod.index].node, pod.gate_position, pod.affinity)
        for pod in sorted(gated, key=lambda pod: pod.index)
        if pod.gate_position is not None and pod.uid not in job.ungating and pod.index < len(placement)
    ]


def _run(job: Job, context: Context) -> WriteStatus:
    now = context.now
    time, status = moment(now), job.job.status
    waited = now - job.queued_at
    message = f"{pods(job.job.spec.replicas)} running on {status.nodes} after {waited:.0f} s in the queue and start-up"
    conditions = status.conditions
    for kind, reason in (
        (ConditionType.PLACED, Reason.PODS_BOUND),
        (ConditionType.RUNNING, Reason.PODS_RUNNING),
    ):
        conditions = with_condition(job, conditions, kind, True, reason, message, now)
    attempt = status.attempts[-1].model_copy(update={"placed_at": time, "running_at": time})
    new = status_of(
        job,
        phase=Phase.RUNNING,
        reason=Reason.PODS_RUNNING.value,
        started_at=status.started_at or time,
        attempts=(*status.attempts[:-1], attempt),
        conditions=at_start(job, conditions, context),
    )
    return WriteStatus(job.job, Transition.RUN, new, Note("Running", message))


def _watch(job: Job, context: Context) -> list[Action]:
    """See a running gang to its end, or end it."""
    over = _is_over(job, context)
    if over is not None:
        return over
    if job.job.spec.suspend:
        return [ends.stop(job, context.now, _suspended())]
    found = trouble.disruption(job, context)
    if found is None:
        limit = stopped_at(job)
        if limit is not None and limit <= context.now:
            seconds = job.job.spec.active_deadline_seconds
            message = f"ran for activeDeadlineSeconds ({seconds} s), all attempts together"
            found = Trouble(Outcome.DEADLINE_EXCEEDED, Reason.DEADLINE_EXCEEDED, message)
    if found is not None:
        return [ends.stop(job, context.now, found)]
    return _tune(job, context)


def _tune(job: Job, context: Context) -> list[Action]:
    """Tell a job which operating point it is to have, and what became of it."""
    aimed, news = auto_point.tuned(job, context, context.renewed.get(job.uid))
    told = confirm(aimed, context.now) if job.job.status.phase is Phase.RUNNING else None
    if told is None and (aimed is not job or news is not None):
        told = WriteStatus(job.job, Transition.TELL, aimed.job.status)
    if told is None:
        return []
    return [replace(told, job=job.job, note=told.note or news)]


def _is_over(job: Job, context: Context) -> list[Action] | None:
    """Return the end of an attempt whose Job ended, nothing while the Job winds up, None while it goes on."""
    workload = job.workload
    if workload is None or workload.deleting:
        return None
    if workload.complete:
        interrupted = trouble.false_success(job, context)
        if interrupted is not None:
            return [ends.finish(job, context, interrupted)]
        return [ends.succeed(job, context.now)]
    given_up = workload.failing or any(pod.phase == "Failed" for pod in job.own_pods)
    if not workload.failed and not given_up:
        return None
    # The Job's own controller ends the other pods; it can't see those end whose node is lost. That it has failed may be
    # heard before what its pods came to.
    alive = [pod for pod in job.own_pods if not pod.has_ended]
    if (workload.failed or alive) and all(is_gone(pod, context) for pod in alive):
        return [ends.finish(job, context, trouble.failure(job, context))]
    return []


def _stop(job: Job, context: Context) -> list[Action]:
    """Delete the attempt's Job, wait until its pods are really gone, then go on with what the outcome says."""
    own = [workload for workload in job.workloads if workload.attempt == job.attempt]
    if any(workload.complete and not workload.deleting for workload in own) and trouble.all_succeeded(job):
        return [ends.succeed(job, context.now)]
    to_delete = [w for w in own if not w.deleting and w.uid not in job.removing]
    if to_delete:
        return [StopAttempt(job.job, workload.name, workload.uid) for workload in to_delete]
    under_way = job.creating or bool(job.ungating) or any(not workload.deleting for workload in own)
    if under_way or not all(is_gone(pod, context) for pod in job.own_pods):
        return []
    attempt = job.job.status.attempts[-1]
    outcome = attempt.outcome or Outcome.DISRUPTED
    reason = Reason(attempt.reason) if attempt.reason in set(Reason) else Reason.POD_DISRUPTED
    return [ends.finish(job, context, Trouble(outcome, reason, attempt.message or "", attempt.avoid))]


def _suspended() -> Trouble:
    return Trouble(Outcome.SUSPENDED, Reason.SUSPENDED, "spec.suspend is true")


def _expires_at(job: Job) -> float | None:
    """Return when an ended job is to be deleted."""
    ttl, ended = job.job.spec.ttl_seconds_after_finished, job.job.status.finished_at
    return None if ttl is None or ended is None else ended.timestamp() + ttl


def next_due(job: Job, now: float, policy: Policy) -> float | None:
    """Return the next moment after now at which time alone may call for a step; None if it never will."""
    status = job.job.status
    times: list[float | None] = []
    match status.phase:
        case Phase.PENDING | Phase.QUEUED:
            times.append(status.retry_at.timestamp() if status.retry_at is not None else None)
        case Phase.PLACING if status.attempts:
            reserved = status.attempts[-1].started_at.timestamp()
            times += [reserved + policy.missing_pods_seconds, reserved + policy.placement_timeout_seconds]
        case Phase.RUNNING:
            times += [stopped_at(job), *auto_point.next_due(job, policy)]
        case Phase.SUCCEEDED | Phase.EARLY_STOPPED | Phase.FAILED:
            times.append(_expires_at(job))
        case _:
            pass
    times += [p.grace_over_at + policy.lost_pod_seconds for p in job.own_pods if p.grace_over_at is not None]
    times.append(accounting.next_due(job, now, policy))
    return min((time for time in times if time is not None and time > now), default=None)
