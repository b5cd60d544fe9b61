"""What a sweep found: savings and slowdowns by point, paired by round, with confidence intervals.

What must hold: a saving is of joules that the GPU's counter counted for the same steps in the same round; whatever the
simulated NVML had a part in is marked ``simulated`` wherever it goes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from frugal.bench.comparison import Interval
from frugal.errors import DataError
from frugal.sweep.points import OperatingPoint
from frugal.sweep.sweeping import Measurement

FORMAT = 1
SIMULATED = "simulated NVML"
COUNTED = "NVML total energy counter"


@dataclass(frozen=True, kw_only=True)
class PointResult:
    """One point, over its rounds.

    Attributes:
        saving_percent: Of the baseline's joules; None for the baseline.
        slowdown_percent: Additional seconds in percent of the baseline's; None for the baseline.
    """

    point: OperatingPoint
    steps_per_second: Sequence[float]
    watts: Sequence[float]
    joules_per_step: float
    measured_seconds: float
    saving_percent: Interval | None
    slowdown_percent: Interval | None


@dataclass(frozen=True, kw_only=True)
class SweepResult:
    """A sweep.

    Attributes:
        gpu_model: As NVML tells it.
        simulated: The board is one of the simulated NVML.
        work: What was run, in words.
        measured_at: When it ended: UTC, RFC 3339.
        highest_clock_mhz: That the GPU knows; None if it does not tell.
        points: The baseline first.
        measurements: All of them, in the order in which they were made.
        complete: False while the sweep goes on, and for ever if it was aborted; then ``points`` are those that can be
            compared so far.
    """

    gpu_model: str
    simulated: bool
    work: str
    measured_at: str
    highest_clock_mhz: int | None
    points: Sequence[OperatingPoint]
    measurements: Sequence[Measurement]
    complete: bool = True

    @property
    def baseline(self) -> OperatingPoint:
        """What was found on the GPU."""
        return self.points[0]

    @property
    def source(self) -> str:
        """Where joules come from."""
        return SIMULATED if self.simulated else COUNTED

    def results(self) -> list[PointResult]:
        """One for each point, in the order of `points`."""
        return [self._of(point) for point in self.points]

    def best(self, max_slowdown_percent: float | None = None) -> PointResult:
        """The point with the fewest joules a step among those that are not slower than that."""
        able = [
            one
            for one in self.results()
            if one.slowdown_percent is None
            or max_slowdown_percent is None
            or one.slowdown_percent.mean <= max_slowdown_percent
        ]
        return min(able, key=lambda one: one.joules_per_step)

    @property
    def losses_differ_by(self) -> float | None:
        """The largest difference between training losses, relative to the least; None where nobody knows them."""
        losses = [one.loss for one in self.measurements if one.loss is not None]
        least = min(losses, key=abs, default=0.0)
        return (max(losses) - min(losses)) / abs(least) if least else None

    def _of(self, point: OperatingPoint) -> PointResult:
        mine = {one.round: one for one in self.measurements if one.point == point}
        base = {one.round: one for one in self.measurements if one.point == self.baseline}
        rounds = sorted(mine.keys() & base.keys())
        if not rounds:
            raise DataError(f"{point}: no round measured it beside {self.baseline}")
        compared = point != self.baseline
        savings = [100 * (1 - mine[n].joules / base[n].joules) for n in rounds]
        slowdowns = [100 * (mine[n].seconds / base[n].seconds - 1) for n in rounds]
        return PointResult(
            point=point,
            steps_per_second=[one.steps / one.seconds for one in mine.values()],
            watts=[one.joules / one.seconds for one in mine.values()],
            joules_per_step=sum(one.joules for one in mine.values()) / sum(one.steps for one in mine.values()),
            measured_seconds=sum(one.seconds for one in mine.values()),
            saving_percent=Interval.of(savings) if compared else None,
            slowdown_percent=Interval.of(slowdowns) if compared else None,
        )

    def to_json(self) -> str:
        """The whole sweep; what follows from the measurements is not in it."""
        return json.dumps({"format": FORMAT, "source": self.source, **asdict(self)}, indent=1) + "\n"

    @classmethod
    def from_json(cls, text: str) -> SweepResult:
        """What `to_json` wrote.

        Raises:
            DataError: That is something else.
        """
        try:
            stored: dict[str, Any] = json.loads(text)
            known = {FORMAT: cls}[stored.pop("format")]
            stored.pop("source")
            stored["points"] = [OperatingPoint(**point) for point in stored["points"]]
            stored["measurements"] = [
                Measurement(**{**one, "point": OperatingPoint(**one["point"])}) for one in stored["measurements"]
            ]
            return known(**stored)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"this is no result of frugal sweep in format {FORMAT} ({error})") from error


def deviation(samples: Sequence[float]) -> float | None:
    """Standard deviation of samples; None of a single one."""
    return stdev(samples) if len(samples) > 1 else None


def mean(samples: Sequence[float]) -> float:
    """Their mean."""
    return fmean(samples)
