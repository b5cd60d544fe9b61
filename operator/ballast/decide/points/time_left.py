"""By when a job is to be done, how long it runs on by its trainer's word, and what that leaves for saving.

Pure. There are two such moments: the deadline, after which a job runs on as fast as it can, and the end of
`activeDeadlineSeconds`, at which it is stopped. What must hold: no job misses either by a power limit, as far as its
trainer's estimate is right; where nobody knows how long it takes, a deadline may need all the time, while the other is
a bound that few jobs come near to.
"""

from __future__ import annotations

from ballast.decide.noticing import usable
from ballast.decide.snapshot import Job


def stopped_at(job: Job) -> float | None:
    """Return when a running job has used up its running time, seconds since the epoch; None if it never will."""
    limit, status = job.job.spec.active_deadline_seconds, job.job.status
    running_at = status.attempts[-1].running_at if status.attempts else None
    if limit is None or running_at is None:
        return None
    return running_at.timestamp() + max(limit - status.active_seconds, 0)


def seconds_left(job: Job) -> float | None:
    """Return how long a job runs on, by what its trainer reported; None if nobody knows."""
    training = job.telemetry.training if job.telemetry is not None else None
    return usable(training.seconds_left, 0) if training is not None else None


def is_late(job: Job, now: float) -> bool:
    """Return whether a job will not be done in time at the pace that it has."""
    left, done_by = seconds_left(job), _done_by(job)
    return left is not None and done_by is not None and now + left > done_by


def slowdown_left(job: Job, left: float | None, now: float) -> float | None:
    """Return the slowdown that is left to a job, in percent; None if it has all the time, or nothing is left to do.

    Args:
        job: The job.
        left: How long it would run on at the limit that was found; None if nobody knows.
        now: Seconds since the epoch.
    """
    if left is None:
        return 0.0 if job.job.spec.energy.deadline is not None else None
    done_by = _done_by(job)
    return 100 * ((done_by - now) / left - 1) if done_by is not None and left > 0 else None


def _done_by(job: Job) -> float | None:
    deadline = job.job.spec.energy.deadline
    times = (deadline.timestamp() if deadline is not None else None, stopped_at(job))
    return min((time for time in times if time is not None), default=None)
