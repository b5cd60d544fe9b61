"""Slowdown and power of one workload on one GPU model, by power limit: a prior, and what readings make of it.

A hierarchical Bayesian regression in closed form. The mean curve of all workloads is a function of the limit and of
the share of the found limit that the workload draws there; each workload differs from it by random coefficients
(`ballast.decide.model.curve_shape`, `ballast.decide.model.prior`). Readings update all of it at once, with the
workload's throughput and power at the found limit as two further unknowns: a reading there is the best, but none is
needed. docs/guide/energy-model.md has the formulas, where they come from, and how wrong they are.

What must hold: at the found limit slowdown is exactly nothing; a lower limit is never predicted to be faster, nor to
draw more; power stays between idle and what boards were seen to draw above their limit; the order of samples makes no
difference.
"""

from __future__ import annotations

import bisect
import math
import statistics
from collections.abc import Sequence

import numpy as np

from ballast.decide.gpu_models import KNOWN_MODELS, gpu_model
from ballast.decide.model.curve_shape import Array, mean_terms
from ballast.decide.model.known_limits import pooled
from ballast.decide.model.prediction import GpuRange, Prediction, Sample
from ballast.decide.model.prior import PRIOR, Prior

GRID_STEPS = 64
"""Into how many steps the board's range is divided; between two of them predictions are linear."""

ROUNDS = 8
"""At most so many of approximating how the curve depends on the workload's draw by a line; it settles in a few."""

SETTLED = 1e-4
"""It has settled when the draw moves by less than this share of itself."""

MOST_LOG_SLOWDOWN = math.log(100.0)
"""Nothing is predicted to be slower: whoever asks wants to know that it is far too slow, no more."""

MOST_LOG_SD = 3.0
"""Nor less certain: a factor of twenty either way."""

IMPLAUSIBLE_DEVIATIONS = 3.0
"""A reading further from what all others say counts only as much as if its noise made it this likely."""

UNKNOWN_SCALE = 10.0
"""Standard deviation of the logarithm of throughput before any reading: its unit may be anything."""

TYPICAL_DRAW = 0.76
"""Power of training over the limit, where the GPU model is not listed: the mean of V100's and A40's medians."""

DRAW_DEVIATION = 0.25
"""Standard deviation of its logarithm: quartiles of 0.65 and 0.89 on V100, 0.61 and 0.88 on A40."""

ANY_DRAW_DEVIATION = 2.0
"""The same as long as nothing is known of the workload, where readings are doubted."""


class WorkloadCurve:
    """What the model predicts for one workload on one GPU model."""

    def __init__(
        self, gpu: GpuRange, limits: Sequence[float], slowdown: Array, slowdown_sd: Array, watts: Array, watts_sd: Array
    ) -> None:
        """Keep predictions at ascending limits, of which the last is the found one; logarithms but for the limits."""
        self._gpu = gpu
        self._limits = list(limits)
        self._columns = np.stack([slowdown, slowdown_sd, watts, watts_sd], axis=1)

    @property
    def gpu(self) -> GpuRange:
        """Whose limits they are."""
        return self._gpu

    def at(self, limit_watts: float) -> Prediction:
        """What to expect at a power limit.

        Raises:
            ValueError: The limit lies outside the board's range.
        """
        if not self._limits[0] <= limit_watts <= self._limits[-1]:
            low, high = self._limits[0], self._limits[-1]
            raise ValueError(f"a limit of {limit_watts:g} W lies outside {self._gpu.name}'s {low:g} to {high:g} W")
        above = bisect.bisect_left(self._limits, limit_watts)
        if self._limits[above] == limit_watts:
            found = self._columns[above]
        else:
            low, high = self._limits[above - 1], self._limits[above]
            share = (limit_watts - low) / (high - low)
            # In this form equal figures stay equal, and what is ascending stays ascending, to the last digit.
            found = self._columns[above - 1] + share * (self._columns[above] - self._columns[above - 1])
        slowdown, slowdown_sd, watts, watts_sd = (float(value) for value in found)
        return Prediction(
            limit_watts=limit_watts,
            log_slowdown=slowdown,
            log_slowdown_sd=slowdown_sd,
            watts=math.exp(watts),
            log_watts_sd=watts_sd,
            log_joules=slowdown + watts - float(self._columns[-1, 2]),
        )


class HierarchicalModel:
    """The energy model: an `EnergyModel`."""

    def __init__(self, prior: Prior = PRIOR) -> None:
        self._prior = prior
        self._means = np.array(prior.means)
        self._covariance = np.array(prior.covariance)

    def curve(self, gpu: GpuRange, samples: tuple[Sample, ...]) -> WorkloadCurve:
        """The workload's curve on ``gpu``, after ``samples``, which may be none.

        Args:
            gpu: On what it runs.
            samples: At limits within the board's range, in any order; several may be of one limit.
        """
        pools = [pool.sample for _, pool in sorted(pooled(samples).items())]
        typical = math.log(_typical_draw(gpu))
        # Throughput may be in any unit: all unknowns are counted from about what was read.
        unit = statistics.median([math.log(one.work_per_second) for one in pools]) if pools else 0.0
        before = np.zeros(2 + len(self._covariance))
        before[1] = typical
        covariance = self._spread_before(gpu)
        state, spread, place = before, covariance, typical
        if pools:
            shares = np.array([min(one.limit_watts, gpu.max_limit_watts) for one in pools]) / gpu.max_limit_watts
            speeds = [math.log(one.work_per_second) - unit for one in pools]
            draws = [math.log(one.watts / gpu.max_limit_watts) for one in pools]
            told = np.array(speeds + draws)
            for _ in range(ROUNDS):
                offset, design = self._linear(shares, place)
                slowdown = -(offset + design[:, 1:] @ state[1:])[: len(pools)]
                noise = self._noise(gpu, pools, slowdown)
                rest = told - offset - design @ before
                expected = design @ covariance @ design.T
                # Readings are judged by each other, not by what is typically drawn: some workloads draw hardly any.
                any_draw = expected + ANY_DRAW_DEVIATION**2 * np.outer(design[:, 1], design[:, 1])
                total = expected + np.diag(_tempered(rest, any_draw, noise))
                gain = np.linalg.solve(total, design @ covariance).T
                state, spread = before + gain @ rest, covariance - gain @ design @ covariance
                last, place = place, self._within(gpu, float(state[1]))
                if abs(place - last) < SETTLED:
                    break
        return self._curve(gpu, place, state, spread)

    def _widening(self, gpu: GpuRange) -> float:
        return 1.0 if gpu_model(gpu.name).name in self._prior.gpu_models else self._prior.unseen_widening

    def _spread_before(self, gpu: GpuRange) -> Array:
        """Return the covariance of the unknowns: log throughput, log draw, and the workload's coefficients."""
        covariance = np.zeros((2 + len(self._covariance),) * 2)
        covariance[0, 0], covariance[1, 1] = UNKNOWN_SCALE**2, DRAW_DEVIATION**2
        covariance[2:, 2:] = self._covariance * self._widening(gpu) ** 2
        return covariance

    def _noise(self, gpu: GpuRange, pools: Sequence[Sample], log_slowdown: Array) -> Array:
        """Return the variance of the readings about the curves, which miss nothing at the found limit."""
        errors = [max(one.error, 1e-6) for one in pools] + [max(one.watts_error, 1e-6) for one in pools]
        below = np.array([round(one.limit_watts) != round(gpu.max_limit_watts) for one in pools])
        time = self._prior.time_noise**2 * self._prior.form.missed(log_slowdown)
        watts = np.full(len(pools), self._prior.watts_noise**2)
        missed = np.concatenate([below * time, below * watts]) * self._widening(gpu) ** 2
        return np.asarray(np.array(errors) ** 2 + missed, dtype=np.float64)

    def _within(self, gpu: GpuRange, log_draw: float) -> float:
        return min(max(log_draw, math.log(gpu.idle_watts / gpu.max_limit_watts)), math.log(self._prior.overshoot))

    def _mean(self, shares: Array, log_draw: float) -> tuple[Array, Array]:
        """Return the mean workload's log slowdown, then its log power over that at the found limit; and the rows."""
        draw = math.exp(log_draw)
        functions = self._prior.form.functions(shares, draw, self._prior.deepest)
        # Polynomials are not extrapolated. The functions may be: who draws little is bound by no limit above that.
        seen = min(max(draw, self._prior.draws[0]), self._prior.draws[1])
        return functions @ self._means @ mean_terms(seen, self._means.shape[1]), functions

    def _linear(self, shares: Array, place: float) -> tuple[Array, Array]:
        """Return offset and design of log throughput, then of log draw, at some limits, near a draw."""
        step, count = 1e-4, len(shares)
        mean, functions = self._mean(shares, place)
        slope = (self._mean(shares, place + step)[0] - self._mean(shares, place - step)[0]) / (2 * step)
        sign = np.repeat([-1.0, 1.0], count)
        design = np.zeros((2 * count, 2 + functions.shape[1]))
        design[:count, 0] = 1.0
        design[count:, 1] = 1.0
        design[:, 1] += sign * slope
        design[:, 2:] = sign[:, None] * functions
        return sign * (mean - slope * place), design

    def _curve(self, gpu: GpuRange, place: float, state: Array, spread: Array) -> WorkloadCurve:
        top = gpu.max_limit_watts
        limits = np.unique(np.append(np.linspace(gpu.min_limit_watts, top, GRID_STEPS + 1), top))
        count = len(limits)
        offset, design = self._linear(limits / top, place)
        design[:count, 0] = 0.0  # slowdown is a ratio of throughputs: their unit is not in it
        found = offset + design @ state
        sds = np.sqrt(np.maximum(np.einsum("ij,jk,ik->i", design, spread, design), 0.0))
        below = limits != top
        slowdown = np.maximum.accumulate(np.maximum(-found[:count], 0.0)[::-1])[::-1]
        slowdown = np.where(below, np.minimum(slowdown, MOST_LOG_SLOWDOWN), 0.0)
        slowdown_sd = np.where(below, np.minimum(sds[:count], MOST_LOG_SD), 0.0)
        watts = np.minimum.accumulate(found[count:][::-1])[::-1] + math.log(top)
        watts = np.clip(watts, math.log(gpu.idle_watts), np.log(limits * self._prior.overshoot))
        return WorkloadCurve(gpu, limits.tolist(), slowdown, slowdown_sd, watts, np.minimum(sds[count:], MOST_LOG_SD))


def _typical_draw(gpu: GpuRange) -> float:
    model = gpu_model(gpu.name)
    if model not in KNOWN_MODELS:
        return TYPICAL_DRAW
    return min(1.0, model.training_watts / gpu.max_limit_watts)


def _tempered(rest: Array, spread: Array, noise: Array) -> Array:
    """Return the noise, more of it where a reading is implausible by all others: the worst one at a time."""
    noise = noise.copy()
    for _ in range(len(rest)):
        inverse = np.linalg.inv(spread + np.diag(noise))
        variance = 1 / np.diag(inverse)
        deviation = (inverse @ rest) ** 2 * variance
        # Of equals the first: rounding must not decide.
        worst = int(np.argmax(np.round(deviation, 9)))
        if deviation[worst] <= IMPLAUSIBLE_DEVIATIONS**2 * (1 + 1e-6):
            break
        noise[worst] += variance[worst] * (deviation[worst] / IMPLAUSIBLE_DEVIATIONS**2 - 1)
    return noise
