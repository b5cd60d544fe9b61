"""Measures running jobs: what each did and used while its GPUs stayed at one confirmed operating point.

Each answer of Prometheus is a point on two lines: steps done, by when the trainer reported them, and joules used, by
when the meter looked. A measurement goes from one answer to a later one, and begins after a whole one at the point, so
that what a change of the limit or the start of the training does to the speed is in none. What must hold: it is dropped
whole when the attempt, a pod or the point changes, or a count goes back; an old answer, of a replica of Prometheus that
is behind, changes nothing; a trainer that reports no steps is never measured; what is kept grows with the running jobs
and with nothing else.

The two lines are read at different moments: the trainer reports when it has done something, the exporter asks the
agent every `exporter.pollSeconds`. Steps are divided by the time from report to report, joules by that from look to
look, and multiplied by the former: steady training is measured exactly. What is left is that power is a mean over a
time that begins and ends up to `pollSeconds` away. With the defaults, 10 s of at least 30 s at either end: under 1 %
while the power over ten seconds stays within 2 % of its mean, and less with each further reading, as it is as often too
much as too little.

A point where a job stays is measured ever more seldom: what is known well already is worth few writes. What is complete
is handed out to a bounded number of jobs at a time, however many were measured by one answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from ballast.api.source import Component
from ballast.decide.measurement import Measurement
from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.held_points import HeldPoint
from ballast.observe.turns import Turns

LEAST_REPORTS: Final = 2
"""Of the trainer, after that with which a measurement begins."""
FREQUENT_READINGS: Final = 4
"""At one point; each that follows takes twice as long as the one before."""
LONGEST_READING: Final = 32
"""In lengths of the first ones: with the default 16 minutes, so that 5,000 jobs make five measurements a second."""
MOST_SECONDS: Final = 3600.0
"""A measurement that has not come to its end by then begins anew: the training has stood still meanwhile."""


@dataclass(frozen=True, slots=True)
class _Mark:
    """Both lines, as one answer shows them; times in seconds since the epoch."""

    reported_at: float
    step: int
    read_at: float
    joules: float


@dataclass(slots=True)
class _Watch:
    """A job at a point.

    Attributes:
        since: when that was first known, seconds since the epoch.
        warm: the first whole answer from then on.
        began: the answer with which the measurement begins.
        last: the newest answer.
        reports: how many of the trainer's were seen since then.
        readings: how many measurements at this point are complete.
    """

    point: HeldPoint
    since: float
    warm: _Mark | None = None
    began: _Mark | None = None
    last: _Mark | None = None
    reports: int = 0
    readings: int = 0

    def begin_at(self, mark: _Mark | None) -> None:
        """Begin a measurement with an answer; with None it is still to come."""
        self.began = self.last = mark
        self.reports = 0


class Measurements:
    """By the job's UID; see the module's docstring.

    Args:
        reading_seconds: how long one takes at least.
        turns: where jobs wait to be looked at because a measurement of them is complete.
    """

    def __init__(self, reading_seconds: float = 30.0, turns: Turns | None = None) -> None:
        self._reading_seconds = reading_seconds
        self._watches: dict[str, _Watch] = {}
        self._complete: dict[str, Measurement] = {}
        self._turns = Turns() if turns is None else turns

    def put(self, job: str, point: HeldPoint | None, now: float) -> None:
        """Set at which point a job is now; None: at none that all of its GPUs have confirmed, or it does not run."""
        watch = self._watches.get(job)
        if point is None:
            self._watches.pop(job, None)
        elif watch is None or watch.point != point:
            self._watches[job] = _Watch(point, now)

    def forget(self, job: str) -> None:
        """Take in that a job is gone."""
        self._watches.pop(job, None)
        self._complete.pop(job, None)
        self._turns.forget(job)

    def take(self, poll: Poll) -> None:
        """Take in what Prometheus answered; one that is not whole counts as none: the lines go on over it."""
        if poll.problem is not None:
            return
        for job, watch in self._watches.items():
            told = poll.jobs.get(job)
            mark = _mark(told, watch) if told is not None else None
            if mark is not None and (found := self._advance(watch, mark)) is not None:
                self._complete[job] = found
                self._turns.add([job])

    def may_enter(self, jobs: Iterable[str]) -> None:
        """Take in that measurements of these jobs may be entered; those that have waited for that get a turn."""
        self._turns.add(job for job in jobs if job in self._complete)

    def hand_out(self, job: str) -> Measurement | None:
        """Return a job's newest measurement, once; None if there is none."""
        return self._complete.pop(job, None)

    def take_back(self, job: str, measurement: Measurement) -> None:
        """Take a measurement back with which nothing could be done; a newer one stays."""
        self._complete.setdefault(job, measurement)

    def _advance(self, watch: _Watch, mark: _Mark) -> Measurement | None:
        """Go on to an answer; return the measurement that ends with it."""
        last = watch.last or watch.warm
        if last is None or _has_gone_back(last, mark):
            watch.warm = mark
            watch.begin_at(None)
            return None
        if mark.reported_at <= last.reported_at or mark.step == last.step or mark.read_at <= last.read_at:
            return None  # of one of the lines there is nothing new; a report need not tell a step
        began = watch.began
        if began is None or mark.reported_at - began.reported_at > MOST_SECONDS:
            watch.begin_at(mark)
            return None
        watch.last = mark
        watch.reports += 1
        if not self._is_long_enough(watch, began, mark):
            return None
        watch.readings += 1
        watch.begin_at(mark)
        return _measurement(watch.point, began, mark)

    def _is_long_enough(self, watch: _Watch, began: _Mark, mark: _Mark) -> bool:
        times = min(2 ** max(watch.readings + 1 - FREQUENT_READINGS, 0), LONGEST_READING)
        seconds = self._reading_seconds * times
        return (
            watch.reports >= LEAST_REPORTS
            and mark.reported_at - began.reported_at >= seconds
            and mark.read_at - began.read_at >= seconds / 2
            and mark.step > began.step
            and mark.joules > began.joules
        )


def _mark(told: Telemetry, watch: _Watch) -> _Mark | None:
    """Return what a whole answer says that is of this point altogether; None if this is none."""
    point, training = watch.point, told.training
    joules = told.joules.get(Component.GPU)
    if (
        told.attempt != point.attempt
        or told.pods != len(point.pods)
        or told.oldest_at is None
        or told.read_at is None
        or joules is None
        or training is None
        or training.step is None
        or training.reported_at is None
        or min(told.oldest_at, training.reported_at) < watch.since
    ):
        return None
    return _Mark(training.reported_at, training.step, told.read_at, joules)


def _has_gone_back(before: _Mark, mark: _Mark) -> bool:
    """Return whether a count began anew, or a node's clock was set back; what is less in all is only older."""
    steps, joules = mark.step - before.step, mark.joules - before.joules
    reported, read = mark.reported_at - before.reported_at, mark.read_at - before.read_at
    return steps * reported < 0 or joules * read < 0


def _measurement(point: HeldPoint, began: _Mark, ended: _Mark) -> Measurement:
    seconds = ended.reported_at - began.reported_at
    watts = (ended.joules - began.joules) / (ended.read_at - began.read_at)
    return Measurement(
        attempt=point.attempt,
        began_at=began.reported_at,
        ended_at=ended.reported_at,
        limit_watts=point.limit_watts,
        max_clock_hertz=point.max_clock_hertz,
        gpus=point.gpus,
        steps=float(ended.step - began.step),
        gpu_joules=watts * seconds,
    )
