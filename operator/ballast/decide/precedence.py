"""Since when a job counts as queued: when it was queued, less the head starts of its priority class and its deadline.

What must hold: it never changes while the job waits, so that lanes stay sorted; and every head start is bounded, so
that waiting long enough outweighs any of them.
"""

from __future__ import annotations

from ballast.api.trainingjob import TrainingJob
from ballast.decide.policy import Policy


def precedence(job: TrainingJob, queued_at: float, rank: int, policy: Policy) -> float:
    """Return the job's place in time in the queue, seconds since the epoch, least first.

    Args:
        job: The job.
        queued_at: Since when it waits its turn, seconds since the epoch.
        rank: How many distinct priorities are below its own.
        policy: How much each head start is.
    """
    head_start = deadline_head_start(job, queued_at, policy.deadline_head_start_seconds)
    return queued_at - head_start - rank * policy.aging_seconds


def latest_start(job: TrainingJob) -> float | None:
    """Return when a job must start to be done by its deadline, seconds since the epoch; None without a deadline.

    By what its user expects that it takes; where nobody says that, it is the deadline itself.
    """
    deadline, takes = job.spec.energy.deadline, job.spec.energy.expected_duration
    return deadline.timestamp() - float(takes or 0) if deadline is not None else None


def deadline_head_start(job: TrainingJob, queued_at: float, most: float) -> float:
    """Return the head start that a deadline gives, in seconds: what its latest start is nearer than `most`.

    A deadline that had passed when the job was queued gives none: there is nothing left to save.

    Args:
        job: The job.
        queued_at: Since when it waits its turn, seconds since the epoch.
        most: The largest head start, in seconds; that of a job which must start at once.
    """
    deadline, start = job.spec.energy.deadline, latest_start(job)
    if deadline is None or start is None or deadline.timestamp() <= queued_at:
        return 0.0
    return min(max(most - (start - queued_at), 0.0), most)
