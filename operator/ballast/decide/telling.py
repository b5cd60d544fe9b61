"""How decisions tell what they come to: moments, counts and conditions, in one form everywhere."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from ballast.api.conditions import Condition, ConditionType, Reason, set_condition
from ballast.api.jobstatus import TrainingJobStatus
from ballast.decide.snapshot import Job


def moment(now: float) -> datetime:
    """Return seconds since the epoch as a time in UTC."""
    return datetime.fromtimestamp(now, UTC)


def pods(count: int) -> str:
    """Return a number of pods in words."""
    return f"{count} pod" + "s" * (count != 1)


def status_of(job: Job, **changes: Any) -> TrainingJobStatus:
    """Return the job's status with some fields changed, as observed of its present generation."""
    return job.job.status.model_copy(update={"observed_generation": job.job.metadata.generation, **changes})


def with_condition(
    job: Job,
    conditions: tuple[Condition, ...],
    kind: ConditionType,
    status: bool,
    reason: Reason,
    message: str,
    now: float,
) -> tuple[Condition, ...]:
    """Return the conditions with one of them set, as observed of the job's present generation."""
    generation = job.job.metadata.generation
    return set_condition(conditions, kind, status, reason, message, generation=generation, now=moment(now))
