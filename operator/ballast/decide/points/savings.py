"""What a job has saved by its operating point: measured against measured, or not said at all.

Pure. The baseline is what the same steps would have used at the limit that was found: joules a step there by the energy
profile, times the steps done; and what CPUs and memory used, for as long as those steps would have taken. What must
hold: it is stated only while the profile has a well-measured point at that limit for gangs of this size, and of steps
that the job can have done itself; what it used beside its steps (start-up, evaluation) is in its joules and not in the
baseline, so that savings are understated and not overstated.
"""

from __future__ import annotations

from dataclasses import dataclass

from ballast.api.jobstatus import EnergyStatus, Phase, TrainingJobStatus
from ballast.api.source import Component
from ballast.decide.learning.profile_points import agree, comparable, joules_per_step, samples_of
from ballast.decide.model.known_limits import Trust, pooled, whole
from ballast.decide.noticing import is_elsewhere, significant, usable
from ballast.decide.snapshot import Job
from ballast.decide.telemetry import Telemetry

BASELINE_DIGITS = 4
MOST_PACE = 1.05
"""Nothing trains faster than at the found limit by more than this, noise and phases included."""

AHEAD_SECONDS = 60.0
"""For so long after its last report a trainer is taken to go on as before."""

NEWS_POINTS = 1.0
"""The saving is told anew when it has changed by more points of percent than this."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a step takes at the limit that was found.

    Attributes:
        joules_per_step: Of all GPUs of the gang.
        seconds_per_step: Of the gang.
    """

    joules_per_step: float
    seconds_per_step: float


def baseline(job: Job) -> Baseline | None:
    """Return what a step of the job takes at the found limit; None while that is not well measured."""
    learned = job.learned
    if learned is None or learned.gpu is None:
        return None
    top = whole(learned.gpu.max_limit_watts)
    own, shared = (
        comparable(profile.spec.points, job.job.gpus, learned.max_clock_hertz) if profile is not None else ()
        for profile in (learned.own, learned.shared)
    )
    if not agree(samples_of(own, learned.gpu), samples_of(shared, learned.gpu)):
        shared = ()
    for points in (own, shared):
        for point in points:
            if whole(point.power_limit_watts) != top:
                continue
            if Trust().well_measured(pooled(samples_of((point,), learned.gpu)).get(top)):
                return Baseline(joules_per_step(point), 1 / point.steps_per_second)
    return None


@dataclass(frozen=True, slots=True)
class Saving:
    """What is to be told; None twice if it is not known any more, as where the profile was begun anew."""

    baseline_joules: float | None = None
    percent: float | None = None


def saving(job: Job, joules: float | None, steps: float | None, now: float) -> Saving | None:
    """Return what was saved; None if there is nothing new to say of that.

    Args:
        job: The job.
        joules: What it has used, all attempts together.
        steps: What it had done when that was read.
        now: Seconds since the epoch.
    """
    if job.learned is None or job.learned.gpu is None or not joules or not steps:
        return None
    found = baseline(job)
    if found is None:
        return Saving()
    ran = _ran_seconds(job.job.status, now)
    at_found = steps * found.seconds_per_step
    if at_found > MOST_PACE * ran:
        return Saving()  # It began with steps that others did: a checkpoint's.
    share = min(at_found / ran, 1.0) if ran > 0 else 1.0
    would = found.joules_per_step * steps + _beside_gpus(job, joules) * share
    if not would > 0:
        return Saving()
    return Saving(significant(would, BASELINE_DIGITS), round(100 * (1 - joules / would), 1))


def steps_by_then(telemetry: Telemetry) -> float | None:
    """Return the steps that were done when the joules were read; None if the trainer tells none.

    Reports of trainers and looks of meters are seconds apart: of a job that has run for a minute, that would be several
    percent of a saving that it does not have. Of a trainer that reports no more it is not known that it goes on.
    """
    training = telemetry.training
    step = usable(training.step, 0) if training is not None else None
    if training is None or step is None:
        return None
    reported_at, pace = usable(training.reported_at), usable(training.steps_per_second, 0)
    if reported_at is None or pace is None or telemetry.read_at is None:
        return step
    return max(step + min(telemetry.read_at - reported_at, AHEAD_SECONDS) * pace, 0.0)


def is_saving_news(told: EnergyStatus | None, found: Saving | None) -> bool:
    """Return whether a saving differs noticeably from what was told."""
    if found is None:
        return False
    return is_elsewhere(told.saved_percent if told is not None else None, found.percent, 0.0, NEWS_POINTS)


def _beside_gpus(job: Job, joules: float) -> float:
    """Return what others than GPUs used, of all that the job used."""
    status, telemetry = job.job.status, job.telemetry
    gpu = sum(each.energy.gpu_joules for each in status.attempts if each.energy is not None)
    if telemetry is not None and telemetry.attempt == job.attempt:
        last = status.attempts[-1].energy if status.attempts else None
        gpu += max(telemetry.joules.get(Component.GPU, 0.0) - (last.gpu_joules if last is not None else 0.0), 0.0)
    # What attempts used that are no longer listed is not known by component: it counts as the GPUs'.
    earlier = (status.energy.earlier_joules if status.energy is not None else None) or 0.0
    return max(joules - gpu - earlier, 0.0)


def _ran_seconds(status: TrainingJobStatus, now: float) -> float:
    running_at = status.attempts[-1].running_at if status.attempts else None
    runs = status.phase is Phase.RUNNING and running_at is not None
    return status.active_seconds + (max(now - running_at.timestamp(), 0.0) if runs and running_at is not None else 0.0)
