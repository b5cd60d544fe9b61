"""What is known of each power limit of a running job: by measurement where there is one to be trusted, else predicted.

What must hold: a measured slowdown is a ratio of two measurements of the same workload and carries the error of both;
measurements that contradict each other count as badly as they do, whatever errors they claim; a limit that was not
measured is only ever known by its curve.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ballast.decide.model.prediction import Curve, GpuRange, Prediction, Sample

LEAST_ERROR = 1e-6
"""Relative; samples that claim to be exact get this, so that several of them can be combined."""


@dataclass(frozen=True, slots=True)
class Trust:
    """When samples of one limit are enough.

    Attributes:
        enough_error: Relative standard error of the throughput at which a limit counts as well measured, and its
            measurement replaces what the curve says. One percent is a reading of half a minute of steady training.
        enough_samples: So many samples are enough for that, however they scatter: more of the same would not mend them.
        settled_error: At this error nothing is left to learn at a limit. A quarter of that one: 16 such readings.
        settled_samples: Nor after so many samples.
    """

    enough_error: float = 0.01
    enough_samples: int = 4
    settled_error: float = 0.0025
    settled_samples: int = 16

    def precise(self, pool: Pool | None) -> bool:
        """Whether the measurement says more than the curve."""
        return pool is not None and _within(pool.sample.error, self.enough_error)

    def well_measured(self, pool: Pool | None) -> bool:
        """Whether the limit can be counted with."""
        return pool is not None and (self.precise(pool) or pool.count >= self.enough_samples)

    def settled(self, pool: Pool | None) -> bool:
        """Whether there is nothing left to learn at the limit."""
        return pool is not None and (
            _within(pool.sample.error, self.settled_error) or pool.count >= self.settled_samples
        )


def _within(error: float, most: float) -> bool:
    # An error that was combined from several may miss the bound by its last digit.
    return error <= most * (1 + 1e-9)


@dataclass(frozen=True, slots=True)
class Pool:
    """All samples of one limit.

    Attributes:
        sample: What they say together.
        count: How many they are.
    """

    sample: Sample
    count: int


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a limit.

    Attributes:
        limit_watts: Of each GPU.
        prediction: What to expect there, by measurement or by the curve.
        pool: What was measured there; None if nothing was.
        measured: Whether it and the found limit are well measured.
        settled: Whether, besides, nothing is left to learn of either, and the prediction is what was measured.
    """

    limit_watts: float
    prediction: Prediction
    pool: Pool | None
    measured: bool
    settled: bool


def whole(limit_watts: float) -> int:
    """Return the watts by which limits are told apart: boards round what they are asked for."""
    return round(limit_watts)


def pooled(samples: Iterable[Sample]) -> Mapping[int, Pool]:
    """Combine the samples of each limit, by whole watts; those of a job that made no progress tell nothing.

    Logarithms are averaged by their inverse variance. Where they scatter more than their errors explain, the error is
    theirs times the square root of the reduced chi-square (Birge's ratio), as in tables of physical constants.
    """
    by_limit: dict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        if sample.work_per_second > 0 and sample.watts > 0:
            by_limit[whole(sample.limit_watts)].append(sample)
    return {limit: Pool(_together(tuple(found)), len(found)) for limit, found in by_limit.items()}


@lru_cache(maxsize=4096)  # with a new sample, all other limits of its workload stay as they were
def _together(samples: tuple[Sample, ...]) -> Sample:
    speed, error = _mean([math.log(each.work_per_second) for each in samples], [each.error for each in samples])
    power, watts_error = _mean([math.log(each.watts) for each in samples], [each.watts_error for each in samples])
    return Sample(min(each.limit_watts for each in samples), math.exp(speed), math.exp(power), error, watts_error)


def _mean(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    # Sums are exact: the order of samples must not show in the last digit of what comes of them.
    pairs = [(value, max(error, LEAST_ERROR)) for value, error in zip(values, errors, strict=True)]
    weight = math.fsum(1 / error**2 for _, error in pairs)
    mean = math.fsum(value / error**2 for value, error in pairs) / weight
    error = 1 / math.sqrt(weight)
    if len(pairs) == 1:
        return mean, error
    chi_square = math.fsum(((value - mean) / claimed) ** 2 for value, claimed in pairs)
    return mean, error * max(1.0, math.sqrt(chi_square / (len(pairs) - 1)))


def known_limits(curve: Curve, limits: Iterable[float], pools: Mapping[int, Pool], trust: Trust) -> tuple[Known, ...]:
    """Return what is known of each limit, ascending; the found limit is always among them.

    Raises:
        ValueError: A limit lies outside the board's range.
    """
    gpu = curve.gpu
    top = whole(gpu.max_limit_watts)
    found = pools.get(top)
    known = []
    for watts, limit in sorted(({whole(limit): limit for limit in limits} | {top: gpu.max_limit_watts}).items()):
        prediction, pool = curve.at(limit), pools.get(watts)
        by_ratio = trust.precise(pool) and trust.precise(found)
        if pool is not None and found is not None and by_ratio:
            prediction = ratio(gpu, limit, pool.sample, found.sample)
        measured = trust.well_measured(pool) and trust.well_measured(found)
        settled = by_ratio and trust.settled(pool) and trust.settled(found)
        known.append(Known(limit, prediction, pool, measured, settled))
    return tuple(known)


def ratio(gpu: GpuRange, limit_watts: float, here: Sample, found: Sample) -> Prediction:
    """Return what two measurements say of a limit, against the limit that was found."""
    same = whole(limit_watts) == whole(gpu.max_limit_watts)
    slowdown = 0.0 if same else math.log(found.work_per_second / here.work_per_second)
    return Prediction(
        limit_watts=limit_watts,
        log_slowdown=slowdown,
        log_slowdown_sd=0.0 if same else math.hypot(here.error, found.error),
        watts=here.watts,
        log_watts_sd=here.watts_error,
        log_joules=0.0 if same else slowdown + math.log(here.watts / found.watts),
    )


def stale(
    samples: Iterable[Sample], recent: Iterable[Sample], *, deviations: float = 4.0, least_share: float = 0.05
) -> bool:
    """Whether the workload has changed since ``samples`` were taken, so that they should be dropped.

    It has where, at a limit that both know, throughput or power differ by more than noise and by enough to matter. Four
    deviations: of a hundred thousand comparisons, six are false alarms. Phases and temperature alone make for a few
    percent.

    Args:
        samples: What the choice rests on.
        recent: What was measured lately, over more than a phase of the training: else each phase is a change.
        deviations: By how many standard errors of the difference it must differ.
        least_share: And by what share of itself, at least.
    """
    before, after = pooled(samples), pooled(recent)
    return any(
        abs(math.log(now / then)) > max(deviations * error, math.log1p(least_share))
        for limit in before.keys() & after.keys()
        for then, now, error in _quantities(before[limit].sample, after[limit].sample)
    )


def _quantities(then: Sample, now: Sample) -> tuple[tuple[float, float, float], ...]:
    return (
        (then.work_per_second, now.work_per_second, math.hypot(then.error, now.error)),
        (then.watts, now.watts, math.hypot(then.watts_error, now.watts_error)),
    )
