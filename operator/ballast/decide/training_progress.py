"""How far a training is, as its status tells it: made of what the trainer reported, and when that is news.

Pure. What must hold: a trainer may report anything, and what no status can hold is absent; progress is that of the
present attempt, which may go back behind the last one's; each report is compared in plain numbers, and a status is made
only of one that is news.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Final

from ballast.api.finalreading import Training
from ballast.api.jobstatus import ProgressStatus
from ballast.decide.noticing import is_elsewhere, significant, usable
from ballast.decide.snapshot import Job
from ballast.decide.telling import moment

MAX_COUNT: Final = 10**15
"""More of anything is no count, and JSON readers could not hold much more."""
MAX_TIME: Final = 2.5e11
"""Seconds since the epoch that a moment in a status can be."""
METRIC_DIGITS: Final = 4
SPEED_DIGITS: Final = 3
SECONDS_DIGITS: Final = 2
EPOCH_DIGITS: Final = 4
COUNT_SHARE: Final = 0.05
METRIC_SHARE: Final = 0.05
BEST_SHARE: Final = 0.01
SPEED_SHARE: Final = 0.1
SECONDS_SHARE: Final = 0.2
LEAST_SECONDS: Final = 30.0


def progress_of(training: Training, missed_evaluations: int) -> ProgressStatus:
    """Return what the trainer reported as a status tells it, coarsely rounded.

    Args:
        training: the report.
        missed_evaluations: how many evaluations nobody knows.
    """
    evaluations = _count(training.evaluations) or None
    reported_at = usable(training.reported_at, 0, MAX_TIME)
    return ProgressStatus(
        step=_count(training.step),
        total_steps=_count(training.total_steps, least=1),
        percent=_percent(training),
        epoch=_rounded(usable(training.epoch, 0), EPOCH_DIGITS),
        metric=_rounded(usable(training.metric), METRIC_DIGITS),
        best=_rounded(usable(training.best), METRIC_DIGITS),
        evaluations=evaluations,
        missed_evaluations=missed_evaluations if evaluations is not None else None,
        steps_per_second=_rounded(usable(training.steps_per_second, 0), SPEED_DIGITS),
        estimated_seconds_left=_rounded(usable(training.seconds_left, 0), SECONDS_DIGITS),
        reported_at=moment(reported_at) if reported_at is not None else None,
    )


def is_news(told: ProgressStatus | None, training: Training, missed_evaluations: int) -> bool:
    """Return whether a report differs noticeably from what was told."""
    if told is None:
        return True
    evaluations = _count(training.evaluations) or None
    return (
        told.percent != _percent(training)
        or told.total_steps != _count(training.total_steps, least=1)
        or is_elsewhere(told.step, _count(training.step), COUNT_SHARE)
        or is_elsewhere(told.epoch, usable(training.epoch, 0), COUNT_SHARE)
        or is_elsewhere(told.evaluations, evaluations, COUNT_SHARE)
        or (evaluations is not None and is_elsewhere(told.missed_evaluations or 0, missed_evaluations, COUNT_SHARE))
        or is_elsewhere(told.metric, usable(training.metric), METRIC_SHARE)
        or is_elsewhere(told.best, usable(training.best), BEST_SHARE)
        or is_elsewhere(told.steps_per_second, usable(training.steps_per_second, 0), SPEED_SHARE)
        or is_elsewhere(told.estimated_seconds_left, usable(training.seconds_left, 0), SECONDS_SHARE, LEAST_SECONDS)
    )


def last_progress(job: Job) -> ProgressStatus | None:
    """Return how far the latest attempt got, by the newest word of its pods or of Prometheus; None if none is known.

    Of several ranks that report, the one counts that reported last. Of the evaluations that came after Prometheus was
    asked last, those are known that its last words hold.
    """
    telemetry = job.telemetry if job.telemetry is not None and job.telemetry.attempt == job.attempt else None
    words = [pod.last_words for pod in job.own_pods]
    trainings = [word.training for word in words if word is not None and word.training is not None]
    if telemetry is not None and telemetry.training is not None:
        trainings.append(telemetry.training)
    newest = _newest(trainings)
    if newest is None:
        return None
    heard = telemetry.training.evaluations if telemetry is not None and telemetry.training is not None else 0
    held = sum(each.number > heard for each in newest.ring)
    missed = max(newest.evaluations - heard - held, 0)
    return progress_of(newest, missed + (telemetry.missed_evaluations if telemetry is not None else 0))


def _newest(trainings: Iterable[Training]) -> Training | None:
    return max(trainings, key=lambda training: usable(training.reported_at) or -math.inf, default=None)


def _count(value: float | None, least: int = 0) -> int | None:
    usable_value = usable(value, least, MAX_COUNT)
    return int(usable_value) if usable_value is not None else None


def _percent(training: Training) -> float | None:
    """Return whole percents, rounded down: 100 is only said of what is done."""
    told = usable(training.percent, 0, 100)
    if told is None:
        step, total = _count(training.step), _count(training.total_steps, least=1)
        told = min(100 * step / total, 100.0) if step is not None and total is not None else None
    return float(math.floor(told)) if told is not None else None


def _rounded(value: float | None, digits: int) -> float | None:
    return significant(value, digits) if value is not None else None
