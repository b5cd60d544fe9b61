"""Tells a running job what it draws, what it has used and how far it is, and how fresh that is.

Pure. What must hold: nothing is written while nothing noticeable changes, and to tell the same again is never news;
joules never fall; a write about figures moves no job to another phase (G6); while Prometheus tells nothing new, only
the condition and the watts change: what is not known is absent, never 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

from ballast.api.conditions import Condition
from ballast.api.jobstatus import EnergyStatus, Phase, ProgressStatus, TrainingJobStatus
from ballast.api.quantities import format_energy
from ballast.decide.actions import Transition, WriteStatus
from ballast.decide.freshness import (
    Freshness,
    freshness,
    never,
    told_freshness,
    with_freshness,
    without_freshness,
)
from ballast.decide.life.accounting import total_joules
from ballast.decide.noticing import is_elsewhere, significant, usable
from ballast.decide.points.savings import Saving, is_saving_news, saving, steps_by_then
from ballast.decide.snapshot import Context, Job
from ballast.decide.telemetry import Telemetry
from ballast.decide.telling import status_of
from ballast.decide.training_progress import is_news, last_progress, progress_of

WATTS_DIGITS: Final = 2
WATTS_SHARE: Final = 0.1
LEAST_WATTS: Final = 1.0
JOULES_SHARE: Final = 0.02
LEAST_JOULES: Final = 10.0


@dataclass(frozen=True, slots=True)
class _Figures:
    """What is known of a running job.

    Attributes:
        freshness: None if nothing is to be said of it.
        watts: None if they are not known for all its pods.
        joules: None if they stay as they were told.
        telemetry: as recently asked for; None if it was not.
        saving: what its operating point saved; None if there is nothing new to say of that.
    """

    freshness: Freshness | None
    watts: float | None = None
    joules: float | None = None
    telemetry: Telemetry | None = None
    saving: Saving | None = None


def wants_report(job: Job, context: Context) -> bool:
    """Return whether `report` would write; cheap, because it is asked of every running job each time."""
    figures = _figures(job, context)
    return figures is not None and _is_news(job, figures)


def report(job: Job, context: Context) -> WriteStatus | None:
    """Return the write that brings a running job's figures and their freshness up to date, or None if they are.

    While this operator has not asked yet, as after its restart, nothing is told.
    """
    figures = _figures(job, context)
    if figures is None or not _is_news(job, figures):
        return None
    status = job.job.status
    conditions = status.conditions
    if figures.freshness is not None:
        conditions = with_freshness(job, conditions, figures.freshness, context.now)
    new = status_of(job, energy=_energy(job, figures), progress=_progress(job, figures), conditions=conditions)
    return WriteStatus(job.job, Transition.REPORT, new)


def at_start(job: Job, conditions: tuple[Condition, ...], context: Context) -> tuple[Condition, ...]:
    """Return the conditions of a gang that begins to run: if there never will be figures, that is said at once."""
    found = never(job, context)
    if found is None:
        return without_freshness(conditions)
    return with_freshness(job, conditions, found, context.now)


def at_rest(job: Job, status: TrainingJobStatus) -> TrainingJobStatus:
    """Return the status of a job whose attempt is over: it draws nothing, and the last words say how far it came.

    What it has used stays, and so does its progress until another attempt reports; what it was expected to draw stays
    as long as the job keeps its place, to be compared with what it used.
    """
    energy = status.energy
    return status.model_copy(
        update={
            "energy": energy.model_copy(update={"watts": None}) if energy is not None else None,
            "progress": last_progress(job) or status.progress,
            "conditions": without_freshness(status.conditions),
        }
    )


def _figures(job: Job, context: Context) -> _Figures | None:
    """Return what there is to tell; None if there is nothing."""
    if job.job.status.phase is not Phase.RUNNING:
        return None
    found = never(job, context)
    if found is not None:
        # Told when the gang began to run, unless there was a Prometheus at that time.
        return _Figures(found) if told_freshness(job) is not None else None
    telemetry = job.telemetry
    if telemetry is not None and telemetry.attempt != job.attempt:
        telemetry = None
    if telemetry is None and context.telemetry_asked_at is None and context.telemetry_problem is None:
        return None
    found = freshness(job, telemetry, context)
    if telemetry is None or context.now - telemetry.asked_at > context.policy.stale_seconds:
        return _Figures(found)
    is_fresh = found is not None and found.status is True
    joules = usable(total_joules(job), 0) if telemetry.joules else None
    return _Figures(
        freshness=found,
        watts=usable(telemetry.watts, 0) if is_fresh else None,
        joules=joules,
        telemetry=telemetry,
        saving=saving(job, joules, steps_by_then(telemetry), context.now),
    )


def _is_news(job: Job, figures: _Figures) -> bool:
    status, telemetry = job.job.status, figures.telemetry
    if figures.freshness is not None and not figures.freshness.is_told_by(told_freshness(job)):
        return True
    watts, joules = (status.energy.watts, status.energy.joules) if status.energy is not None else (None, None)
    if is_elsewhere(watts, figures.watts, WATTS_SHARE, LEAST_WATTS):
        return True
    if figures.joules is not None and is_elsewhere(joules, figures.joules, JOULES_SHARE, LEAST_JOULES):
        return True
    if is_saving_news(status.energy, figures.saving):
        return True
    if telemetry is None or telemetry.training is None:
        return False
    return is_news(status.progress, telemetry.training, telemetry.missed_evaluations)


def _energy(job: Job, figures: _Figures) -> EnergyStatus | None:
    told = job.job.status.energy or EnergyStatus()
    update: dict[str, object] = {
        "watts": significant(figures.watts, WATTS_DIGITS) if figures.watts is not None else None
    }
    if figures.joules is not None:
        # Rounded down: the ledger is exact, and what was told once never falls.
        joules = max(float(math.floor(figures.joules)), told.joules or 0.0)
        update |= {"joules": joules, "used": format_energy(joules)}
        if figures.saving is not None:
            update |= {"baseline_joules": figures.saving.baseline_joules, "saved_percent": figures.saving.percent}
    energy = told.model_copy(update=update)
    return energy if energy != EnergyStatus() else None


def _progress(job: Job, figures: _Figures) -> ProgressStatus | None:
    telemetry = figures.telemetry
    if telemetry is None or telemetry.training is None:
        return job.job.status.progress
    return progress_of(telemetry.training, telemetry.missed_evaluations)
