"""What Ballast decided for one job, and why, as text: its place, what else was considered, its power limit, its energy.

Pure. What must hold: every number is read from the job's status, where the decision wrote it; nothing is computed anew
beside spans of time.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Final

from ballast.api.conditions import Condition, ConditionType, find_condition
from ballast.api.decision import Decision, DecisionKind
from ballast.api.jobstatus import ChosenPoint, Phase, TrainingJobStatus
from ballast.api.trainingjob import TrainingJob
from ballast.cli.text import NOTHING, ago, clock, joules, signed_percent, span, table, until, visible, watts

MOST_NODES: Final = 8
"""So many nodes are named, then how many more there are."""

_HOLDS: Final = frozenset({Phase.PLACING, Phase.RUNNING, Phase.SUSPENDING})
"""Phases in which the job holds what it was placed on."""

_EXACT_POSITIONS: Final = 10


def render(job: TrainingJob, now: float) -> str:
    """Return what there is to explain of a job, in paragraphs; ends with a line break.

    Args:
        job: As the API server has it.
        now: Seconds since the epoch.
    """
    status = job.status
    paragraphs = [
        _standing(job, now),
        _placement(status),
        _decision(status.decision, now),
        _operating_point(status, now),
        _energy(status),
    ]
    return "\n\n".join("\n".join(visible(line) for line in lines) for lines in paragraphs if lines) + "\n"


def _standing(job: TrainingJob, now: float) -> list[str]:
    status = job.status
    since = _since(job)
    lines = [f"{job.metadata.namespace}/{job.name}: {status.phase}" + (f" since {ago(since, now)}" if since else "")]
    if status.phase is Phase.PENDING:
        return [*lines, "No operator has looked at it yet."]
    why = _why(status)
    if why is not None:
        lines.append(f"{why[0]}: {why[1]}" if why[1] else why[0])
    if status.phase is Phase.QUEUED:
        lines += _queue(status, now)
    throttled = find_condition(status.conditions, ConditionType.THROTTLED)
    if throttled is not None and throttled.is_true:
        lines.append(f"Throttled since {ago(throttled.last_transition_time, now)}: {throttled.message}")
    return lines


def _since(job: TrainingJob) -> datetime | None:
    """Return when the job came into its phase."""
    status = job.status
    last = status.attempts[-1] if status.attempts else None
    match status.phase:
        case Phase.PENDING:
            return job.metadata.creation_timestamp
        case Phase.QUEUED:
            return status.queued_at
        case Phase.PLACING:
            return last.started_at if last is not None else None
        case Phase.RUNNING:
            return last.running_at if last is not None else None
        case Phase.SUSPENDING:
            return last.stopped_at if last is not None else None
        case Phase.SUSPENDED:
            admitted = find_condition(status.conditions, ConditionType.ADMITTED)
            return admitted.last_transition_time if admitted is not None else None
    return status.finished_at


_TELLING: Final = {
    Phase.RUNNING: ConditionType.RUNNING,
    Phase.SUCCEEDED: ConditionType.COMPLETE,
    Phase.EARLY_STOPPED: ConditionType.EARLY_STOPPED,
    Phase.FAILED: ConditionType.FAILED,
}
"""Which condition says why a phase is what it is; else `Admitted` does."""


def _why(status: TrainingJobStatus) -> tuple[str, str] | None:
    """Return the reason in one word, and in a sentence, of the phase."""
    last = status.attempts[-1] if status.attempts else None
    if status.phase is Phase.SUSPENDING and last is not None and last.reason is not None:
        return last.reason, last.message or ""
    condition = find_condition(status.conditions, _TELLING.get(status.phase, ConditionType.ADMITTED))
    if condition is not None:
        return condition.reason, condition.message
    return (status.reason, "") if status.reason else None


def _queue(status: TrainingJobStatus, now: float) -> list[str]:
    lines = []
    if status.queue is not None:
        place = status.queue.position
        text = f"Place in the queue: {place}" if place <= _EXACT_POSITIONS else f"Place in the queue: {place} at most"
        if status.queue.predicted_start is not None:
            text += f"; its turn is predicted for {until(status.queue.predicted_start, now)}"
        lines.append(text)
    if status.retry_at is not None and status.retry_at.timestamp() > now:
        lines.append(f"The next attempt begins no sooner than {until(status.retry_at, now)}")
    last = status.attempts[-1] if status.attempts else None
    if last is not None and last.outcome is not None:
        ended = f"Attempt {last.number} ended: {last.outcome}"
        lines.append(f"{ended}, {last.message}" if last.message else ended)
    return lines


def _placement(status: TrainingJobStatus) -> list[str]:
    if status.phase not in _HOLDS or not status.placement:
        return []
    gpus: Counter[tuple[str, str]] = Counter()
    for pod in status.placement:
        gpus[pod.node, pod.gpu_model or ""] += pod.gpus
    shown = [f"{node} ({count} {model})" if count else node for (node, model), count in list(gpus.items())[:MOST_NODES]]
    more = f" and {len(gpus) - MOST_NODES} more" if len(gpus) > MOST_NODES else ""
    return [f"On {', '.join(shown)}{more}"]


def _decision(decision: Decision | None, now: float) -> list[str]:
    if decision is None or not decision.options:
        return []
    placed = decision.kind is DecisionKind.PLACED
    heading = f"Placed {ago(decision.at, now)}; considered:" if placed else f"Considered {ago(decision.at, now)}:"
    work = f"Energy and time: predicted for {span(decision.work_seconds)} of work on the fastest GPU model"
    if decision.work_is_assumed:
        work += " (assumed: nobody knows how long it takes)"
    rows = [
        [
            "" if option.against else "*",
            option.gpu_model or "CPUs",
            str(option.nodes),
            watts(option.power_limit_watts) if option.power_limit_watts is not None else "as found",
            joules(option.joules),
            span(option.seconds) if option.seconds is not None else NOTHING,
            span(option.wait_seconds) if option.wait_seconds is not None else NOTHING,
            option.against or ("taken" if placed else ""),
        ]
        for option in decision.options
    ]
    header = ["", "GPU MODEL", "NODES", "LIMIT", "ENERGY", "TIME", "OF IT WAITING", "AGAINST"]
    return [heading, *table(header, rows), work]


def _operating_point(status: TrainingJobStatus, now: float) -> list[str]:
    point = status.operating_point
    condition = find_condition(status.conditions, ConditionType.OPERATING_POINT_SET)
    if status.phase not in _HOLDS:
        return []
    lines = _chosen(point, now) if point is not None else []
    if condition is not None and (point is None or not condition.is_true):
        lines.append(_as_set(condition))
    return lines


def _as_set(condition: Condition) -> str:
    return f"Operating point: {condition.reason}: {condition.message}" if condition.message else condition.reason


def _chosen(point: ChosenPoint, now: float) -> list[str]:
    count = f"{point.samples} measurement{'s' * (point.samples != 1)}"
    lines = [
        f"Power limit of each GPU: {watts(point.power_limit_watts)} since {clock(point.since)}, chosen by {count}",
        point.why,
    ]
    if point.lost_seconds:
        lines.append(f"Until then the attempt took {span(point.lost_seconds)} longer because limits were tried out.")
    rows = [
        [
            "" if option.against else "*",
            watts(option.power_limit_watts),
            signed_percent(option.joules_percent),
            signed_percent(option.slowdown_percent),
            "measured" if option.measured else "predicted",
            option.against or "chosen",
        ]
        for option in point.options
    ]
    return lines + (table(["", "LIMIT", "JOULES", "TIME", "KNOWN", "AGAINST"], rows) if rows else [])


def _energy(status: TrainingJobStatus) -> list[str]:
    energy = status.energy
    if energy is None or energy.joules is None:
        return []
    line = f"Energy used: {joules(energy.joules)}"
    if energy.estimated_joules:
        line += f", of which {joules(energy.estimated_joules)} are charged and not measured"
    if energy.watts is not None and status.phase is Phase.RUNNING:
        line += f"; draws {watts(energy.watts)} now"
    if energy.saved_percent is None or energy.baseline_joules is None:
        return [line]
    saved = (
        f"Saved: {energy.saved_percent:.3g} %, against {joules(energy.baseline_joules)} at the limits that were found"
    )
    return [line, saved]
