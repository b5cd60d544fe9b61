"""The next step of a job that holds a reservation: create, ungate, run, end.

Level-triggered: each step is derived from what exists, so that a restart at any point goes on where the world
stands. What must hold: no pod of a gang is ungated before all its pods exist and have a reserved node (G3); a
job that ended is never touched again.
"""

from __future__ import annotations

from collections.abc import Iterable

from ballast.api.conditions import ConditionType, Reason
from ballast.api.trainingjob import Attempt, Outcome, Phase, TrainingJobStatus
from ballast.decide.actions import Action, CreateObjects, Note, Transition, Ungate, WriteStatus
from ballast.decide.snapshot import Job, Pod
from ballast.decide.telling import moment, pods, with_condition


def advance(job: Job, now: float) -> list[Action]:
    """Return the next actions for an admitted job; an ended or unchanged one needs none."""
    status = job.job.status
    if status.phase.is_final or not status.attempts:
        return []
    workload = job.workload
    if workload is not None and workload.complete:
        return [_succeed(job, now)]
    if workload is not None and workload.failed:
        return [_fail(job, now, *_why_failed(job))]
    if status.phase is Phase.PLACING:
        return _go_on_placing(job, now)
    if workload is None and not job.creating:
        gone = f"Job {job.name}-{status.attempts[-1].number} was deleted while it ran"
        return [_fail(job, now, Reason.TRAINER_FAILED, gone)]
    return []


def _go_on_placing(job: Job, now: float) -> list[Action]:
    attempt = job.job.status.attempts[-1].number
    if job.workload is None and job.refused_objects is not None:
        return [_fail(job, now, Reason.INVALID_SPEC, f"the API server refused its objects: {job.refused_objects}")]
    if job.workload is None:
        return [] if job.creating else [CreateObjects(job.job, attempt)]
    pods = _current(job.pods, attempt)
    if len(pods) < job.job.spec.replicas:
        return []
    gated = [pod for pod in pods.values() if pod.gate_position is not None]
    if gated:
        return _ungate(job, gated)
    if all(pod.phase in {"Running", "Succeeded"} for pod in pods.values()):
        return [_run(job, now)]
    return []


def _current(pods: Iterable[Pod], attempt: int) -> dict[int, Pod]:
    """Return the attempt's living pods by index; a pod that is being deleted no longer counts."""
    return {pod.index: pod for pod in pods if pod.attempt == attempt and not pod.deleting}


def _ungate(job: Job, gated: Iterable[Pod]) -> list[Action]:
    placement = job.job.status.placement
    return [
        Ungate(job.job, pod.name, pod.uid, placement[pod.index].node, pod.gate_position, pod.affinity)
        for pod in sorted(gated, key=lambda pod: pod.index)
        if pod.gate_position is not None and pod.uid not in job.ungating and pod.index < len(placement)
    ]


def _run(job: Job, now: float) -> WriteStatus:
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
    new = status.model_copy(
        update={
            "phase": Phase.RUNNING,
            "reason": Reason.PODS_RUNNING.value,
            "started_at": status.started_at or time,
            "attempts": (*status.attempts[:-1], attempt),
            "conditions": conditions,
        }
    )
    return WriteStatus(job.job, Transition.RUN, new, Note("Running", message))


def _succeed(job: Job, now: float) -> WriteStatus:
    message = f"{pods(job.job.spec.replicas)} finished with exit code 0" + _after(job, now)
    status = _ended(job, now, Phase.SUCCEEDED, Outcome.SUCCEEDED, Reason.TRAINING_SUCCEEDED, message)
    return WriteStatus(job.job, Transition.SUCCEED, status, Note("Succeeded", message))


def _fail(job: Job, now: float, reason: Reason, why: str) -> WriteStatus:
    message = why + _after(job, now)
    status = _ended(job, now, Phase.FAILED, Outcome.FAILED, reason, message)
    return WriteStatus(job.job, Transition.FAIL, status, Note("Failed", message, warning=True))


def _why_failed(job: Job) -> tuple[Reason, str]:
    """Return the reason and the failed trainers' own words, or the Job's where no pod tells."""
    failed = [pod for pod in job.pods if pod.phase == "Failed"]
    if not failed:
        message = job.workload.message if job.workload is not None else ""
        return Reason.TRAINER_FAILED, message or "the Job failed"
    pod = min(failed, key=lambda pod: pod.index)
    what = f"exited with code {pod.exit_code}" if pod.exit_code is not None else "was lost"
    others = f" ({len(failed)} of {job.job.spec.replicas} pods failed)" if len(failed) > 1 else ""
    return Reason.TRAINER_FAILED, f"pod {pod.name} {what}{others}" + (f": {pod.message}" if pod.message else "")


def _ended(job: Job, now: float, phase: Phase, outcome: Outcome, reason: Reason, message: str) -> TrainingJobStatus:
    time, status = moment(now), job.job.status
    kind = ConditionType.COMPLETE if phase is Phase.SUCCEEDED else ConditionType.FAILED
    conditions = with_condition(job, status.conditions, kind, True, reason, message, now)
    for held in (ConditionType.ADMITTED, ConditionType.PLACED, ConditionType.RUNNING):
        if any(condition.type == held for condition in conditions):
            conditions = with_condition(job, conditions, held, False, Reason.FINISHED, "the job has ended", now)
    attempt: Attempt = status.attempts[-1].model_copy(
        update={"finished_at": time, "outcome": outcome, "reason": reason.value}
    )
    return status.model_copy(
        update={
            "phase": phase,
            "reason": reason.value,
            "finished_at": time,
            "attempts": (*status.attempts[:-1], attempt),
            "conditions": conditions,
        }
    )


def _after(job: Job, now: float) -> str:
    started = job.job.status.started_at
    return f", {now - started.timestamp():.0f} s after they started" if started is not None else ""
