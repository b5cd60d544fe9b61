"""What the energy model is asked, and what it answers.

These are the words that it, the choice of operating points and the simulator share. All of it is about one workload on
one GPU model, as a function of the power limit of each GPU, relative to the limit that was found on the board: at that
limit slowdown is 1 and nothing is saved. What must hold: a prediction carries its uncertainty, and whoever needs to be
sure asks for a bound, never for a mean.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class GpuRange:
    """What is known of a GPU model before anything runs on it.

    Attributes:
        name: Short name, for example A40.
        min_limit_watts: Least power limit that the board takes.
        max_limit_watts: The limit that was found on it, which is where slowdown is counted from.
        idle_watts: When nothing runs on it.
    """

    name: str
    min_limit_watts: float
    max_limit_watts: float
    idle_watts: float


@dataclass(frozen=True, slots=True)
class Sample:
    """What was measured at one power limit.

    Attributes:
        limit_watts: Of each GPU.
        work_per_second: Throughput of the workload, in any unit that is the same for all of its samples.
        watts: Mean power of one GPU.
        error: Relative standard error of the throughput; 0.01 is one percent.
        watts_error: Relative standard error of the power.
    """

    limit_watts: float
    work_per_second: float
    watts: float
    error: float = 0.01
    watts_error: float = 0.01


@dataclass(frozen=True, slots=True)
class Prediction:
    """What to expect at one power limit, against the limit that was found.

    Attributes:
        limit_watts: Of each GPU.
        log_slowdown: Natural logarithm of time over time at the found limit: mean.
        log_slowdown_sd: Its standard deviation: what the samples so far leave open.
        watts: Mean power of one GPU: median of its distribution.
        log_watts_sd: Standard deviation of the power's logarithm.
        log_joules: Natural logarithm of joules for the same work, over those at the found limit: mean.
    """

    limit_watts: float
    log_slowdown: float
    log_slowdown_sd: float
    watts: float
    log_watts_sd: float
    log_joules: float

    @property
    def slowdown_percent(self) -> float:
        """Expected slowdown, in percent of the time at the found limit."""
        return 100 * math.expm1(self.log_slowdown)

    def slowdown_bound_percent(self, deviations: float) -> float:
        """A slowdown that so many standard deviations lie below, in percent."""
        return 100 * math.expm1(self.log_slowdown + deviations * self.log_slowdown_sd)

    @property
    def saved_percent(self) -> float:
        """Expected saving of joules for the same work, in percent."""
        return -100 * math.expm1(self.log_joules)


class Curve(Protocol):
    """Predictions for one workload on one GPU model, from a prior and whatever was measured."""

    @property
    def gpu(self) -> GpuRange:
        """Whose limits they are."""
        ...

    def at(self, limit_watts: float) -> Prediction:
        """What to expect at a power limit.

        Raises:
            ValueError: The limit lies outside the board's range.
        """
        ...


class EnergyModel(Protocol):
    """Makes curves. It serves GPU models that it has never seen, given their range and one reading."""

    def curve(self, gpu: GpuRange, samples: tuple[Sample, ...]) -> Curve:
        """The workload's curve on ``gpu``, after ``samples``, which may be none.

        Args:
            gpu: On what it runs.
            samples: At limits within the board's range, in any order; several may be of one limit.
        """
        ...
