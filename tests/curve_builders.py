"""Made-up curves: workloads whose truth is known, and what a model that has seen samples says of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from ballast.decide.model.prediction import GpuRange, Prediction, Sample

A40 = GpuRange("A40", 100.0, 300.0, 30.0)
V100 = GpuRange("V100", 100.0, 250.0, 33.0)


def _none(limit_watts: float) -> float:
    return 0.0


@dataclass(frozen=True)
class MadeUpCurve:
    """A workload on a GPU, and predictions of it that are right at measured limits and doubtful between them.

    Its speed is that of a board whose clock follows a power of the watts above a floor: below what the workload draws
    each watt less costs more than the one before, and far below it joules rise again.

    Attributes:
        draws: What it draws where no limit binds.
        floor: Watts that do no work.
        exponent: Of speed by watts above the floor.
        doubt: Standard deviation of the logarithm of the slowdown for each unit of the logarithm of the distance to the
            nearest sample.
        wrong_by: By how many of those deviations the mean is off; positive where predicted to be faster than it is.
        wobble: Added to the logarithm of the slowdown, by limit.
        samples: What the predictions rest on.
    """

    gpu: GpuRange = A40
    draws: float = 290.0
    floor: float = 70.0
    exponent: float = 0.7
    doubt: float = 0.0
    wrong_by: float = 0.0
    wobble: Callable[[float], float] = field(default=_none)
    samples: tuple[Sample, ...] = ()

    def after(self, samples: Iterable[Sample]) -> MadeUpCurve:
        """Return the curve with more samples."""
        return replace(self, samples=(*self.samples, *samples))

    def true_log_slowdown(self, limit_watts: float) -> float:
        """Return what no model sees."""
        binding = min(limit_watts, self.draws, self.gpu.max_limit_watts)
        most = min(self.draws, self.gpu.max_limit_watts)
        return self.exponent * math.log((most - self.floor) / (binding - self.floor)) + self.wobble(limit_watts)

    def true_slowdown_percent(self, limit_watts: float) -> float:
        """Return what no model sees, in percent."""
        return 100 * math.expm1(self.true_log_slowdown(limit_watts))

    def true_watts(self, limit_watts: float) -> float:
        """Return what it draws."""
        return min(limit_watts, self.draws)

    def true_log_joules(self, limit_watts: float) -> float:
        """Return the joules for the same work, over those at the found limit."""
        most = self.gpu.max_limit_watts
        return self.true_log_slowdown(limit_watts) + math.log(self.true_watts(limit_watts) / self.true_watts(most))

    def measured(
        self, limit_watts: float | None = None, *, error: float = 0.001, off_by: float = 0.0, speed: float = 100.0
    ) -> Sample:
        """Return a sample at a limit, by default the found one; ``off_by`` is the relative error that it really has."""
        limit = self.gpu.max_limit_watts if limit_watts is None else limit_watts
        work = speed * math.exp(-self.true_log_slowdown(limit)) * (1 + off_by)
        return Sample(limit, work, self.true_watts(limit), error, error)

    def at(self, limit_watts: float) -> Prediction:
        """See `ballast.decide.model.prediction.Curve`."""
        if not self.gpu.min_limit_watts <= limit_watts <= self.gpu.max_limit_watts:
            raise ValueError(f"{limit_watts} W lies outside the range of {self.gpu}")
        known = {self.gpu.max_limit_watts, *(sample.limit_watts for sample in self.samples)}
        sd = self.doubt * min(abs(math.log(limit_watts / each)) for each in known)
        slowdown = self.true_log_slowdown(limit_watts) - self.wrong_by * sd
        watts = self.true_watts(limit_watts)
        most = self.true_watts(self.gpu.max_limit_watts)
        return Prediction(limit_watts, slowdown, sd, watts, sd / 4, slowdown + math.log(watts / most))


def fast(gpu: GpuRange = A40) -> MadeUpCurve:
    """Return a workload that loses little time down to about half of the found limit."""
    return MadeUpCurve(gpu, draws=0.97 * gpu.max_limit_watts, floor=0.25 * gpu.max_limit_watts, exponent=0.25)


def flat(gpu: GpuRange = A40) -> MadeUpCurve:
    """Return a workload that draws so little that no limit binds it."""
    return MadeUpCurve(gpu, draws=0.9 * gpu.min_limit_watts, floor=0.25 * gpu.min_limit_watts)
