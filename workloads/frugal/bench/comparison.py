"""What a case saves against its baseline: paired by seed, with a confidence interval over the seeds.

A saving is ``1 - case / baseline`` of the *same* seed, in percent, and only then averaged: what the two share (the data
order, a slow minute of the machine that ran them side by side) cancels. Energies are paired only where the same
counters, or the same model, gave both, so that a measurement never meets an estimate.

Training is compared as a whole, since a technique may need fewer examples; inference is compared by example answered.

Source of the interval: Student, "The probable error of a mean", 1908; 95 %, n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from frugal.bench.records import Energy, Phase, Trial
from frugal.errors import DataError

CONFIDENCE = 0.95


@dataclass(frozen=True, kw_only=True)
class Interval:
    """A mean over seeds and where it lies with 95 % confidence.

    Attributes:
        low: None with one seed: there is nothing to tell the spread from.
        n: How many seeds.
    """

    mean: float
    low: float | None
    high: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """The interval of one value a seed; at least one."""
        mean = fmean(values)
        if len(values) == 1:
            return cls(mean=mean, low=None, high=None, n=1)
        from scipy import stats  # type: ignore[import-untyped]  # slow to import

        half = float(stats.t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * stdev(values) / math.sqrt(len(values))
        return cls(mean=mean, low=mean - half, high=mean + half, n=len(values))

    @property
    def half_width(self) -> float | None:
        """What stands after ±."""
        return None if self.high is None else self.high - self.mean


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """One case in one phase, over its seeds.

    Energies and seconds are those of the whole training, or of one example answered. Savings are in percent of the
    baseline, more is better and below 0 is a loss; all of them are None for a baseline itself, and where no seed has
    both sides.

    Attributes:
        baseline: What it is compared with; None where it is a baseline itself.
        data: Name of the data set; what a synthetic one says of accuracy means nothing.
        measured_saving: Of joules that counters measured in both; None where either has no counter.
        measured_by: Which counters; None without.
        estimated_saving: Of estimated joules, beside a measurement too.
        estimated_by: The model in short; None without an estimate.
        accuracy: Of the deployed model on held-out data, 0 to 1.
        accuracy_change_points: Against the baseline, in percentage points; None for a baseline.
        samples_per_second: Examples learned from, or answered.
        flops_per_sample: Mean over seeds; a multiply-add as two.
        bytes: That the deployed model is stored in, mean over seeds.
        measured_joules: None without a counter.
        estimated_joules: None without a model.
        time_saving: Of seconds.
        energy_to_accuracy_saving: Of energy until the plan's target accuracy was first reached; None unless both sides
            of every pair reached it (leaving out the slow ones would flatter).
        energy_to_accuracy_measured: Whether that is from counters; else it is estimated.
        reached_target: How many of the case's own seeds reached it.
        seeds: The seeds that the savings are from, or the case's own where there are none.
    """

    case: str
    baseline: str | None
    phase: Phase
    measured_saving: Interval | None
    measured_by: str | None
    estimated_saving: Interval | None
    estimated_by: str | None
    accuracy: Interval
    accuracy_change_points: Interval | None
    samples_per_second: Interval
    flops_per_sample: float
    bytes: float
    parameters: float
    seconds: Interval
    measured_joules: Interval | None
    estimated_joules: Interval | None
    time_saving: Interval | None
    energy_to_accuracy_saving: Interval | None
    energy_to_accuracy_measured: bool
    reached_target: int
    seeds: tuple[int, ...]
    data: str = ""


def compare(trials: Iterable[Trial]) -> list[Comparison]:
    """Every case in every phase, baselines too, in the order of their first trials.

    Raises:
        DataError: There are two trials of the same case, phase and seed.
    """
    by_key: dict[tuple[str, Phase, int], Trial] = {}
    for trial in trials:
        if trial.key in by_key:
            raise DataError(f"two trials of case {trial.case!r}, {trial.phase.value}, seed {trial.seed}: remove one")
        by_key[trial.key] = trial
    groups: dict[tuple[str, Phase], list[Trial]] = {}
    for trial in by_key.values():
        groups.setdefault((trial.case, trial.phase), []).append(trial)
    return [_comparison(own, by_key) for own in groups.values()]


_Pair = tuple[Trial, Trial]  # a case's trial and its baseline's, of one seed


def _comparison(own: list[Trial], by_key: dict[tuple[str, Phase, int], Trial]) -> Comparison:
    first = own[0]
    pairs = [
        (trial, by_key[trial.baseline, trial.phase, trial.seed])
        for trial in own
        if trial.baseline is not None and (trial.baseline, trial.phase, trial.seed) in by_key
    ]
    shown = [variant for variant, _ in pairs] or own
    measured, estimated = _measured_saving(pairs), _estimated_saving(pairs)
    to_accuracy, to_accuracy_measured = _saving_to_accuracy(pairs)
    return Comparison(
        case=first.case,
        baseline=first.baseline,
        phase=first.phase,
        data=first.data,
        measured_saving=measured,
        measured_by=_common(trial.energy.source for trial in shown),
        estimated_saving=estimated,
        estimated_by=_common(trial.energy.estimated_by for trial in shown),
        accuracy=Interval.of([trial.accuracy for trial in shown]),
        accuracy_change_points=_interval([100 * (trial.accuracy - base.accuracy) for trial, base in pairs]),
        samples_per_second=Interval.of([trial.samples / trial.energy.seconds for trial in shown]),
        flops_per_sample=fmean(trial.flops / trial.samples for trial in shown),
        bytes=fmean(trial.bytes for trial in shown),
        parameters=fmean(trial.parameters for trial in shown),
        seconds=Interval.of([trial.energy.seconds / _units(trial) for trial in shown]),
        measured_joules=_all_or_none([_per_unit(trial, trial.energy.joules) for trial in shown]),
        estimated_joules=_all_or_none([_per_unit(trial, trial.energy.estimated_joules) for trial in shown]),
        time_saving=_savings(pairs, lambda trial: trial.energy.seconds),
        energy_to_accuracy_saving=to_accuracy,
        energy_to_accuracy_measured=to_accuracy_measured,
        reached_target=sum(trial.to_accuracy is not None for trial in own),
        seeds=tuple(trial.seed for trial in shown),
    )


def _units(trial: Trial) -> int:
    """What energy is compared by: one training, or the examples answered (their number depends on the clock)."""
    return trial.samples if trial.phase is Phase.INFERENCE else 1


def _per_unit(trial: Trial, joules: float | None) -> float | None:
    return None if joules is None else joules / _units(trial)


def _measured_saving(pairs: Sequence[_Pair]) -> Interval | None:
    if any(variant.energy.source != base.energy.source for variant, base in pairs):
        return None
    return _savings(pairs, lambda trial: trial.energy.joules)


def _estimated_saving(pairs: Sequence[_Pair]) -> Interval | None:
    if any(variant.energy.estimated_by != base.energy.estimated_by for variant, base in pairs):
        return None
    return _savings(pairs, lambda trial: trial.energy.estimated_joules)


def _saving_to_accuracy(pairs: Sequence[_Pair]) -> tuple[Interval | None, bool]:
    """The saving until the target accuracy, and whether it is measured."""
    reached = [trial.to_accuracy for pair in pairs for trial in pair]
    energies = [energy for energy in reached if energy is not None]
    if not energies or len(energies) != len(reached):
        return None, False
    measured = all(energy.joules is not None for energy in energies) and _common(e.source for e in energies) is not None
    if not measured and _common(energy.estimated_by for energy in energies) is None:
        return None, False

    def joules(energy: Energy | None) -> float | None:
        if energy is None:
            return None
        return energy.joules if measured else energy.estimated_joules

    return _savings(pairs, lambda trial: joules(trial.to_accuracy)), measured


def _savings(pairs: Sequence[_Pair], cost: Callable[[Trial], float | None]) -> Interval | None:
    """Percent of the baseline's cost; None unless every pair has both, above 0."""
    savings = []
    for variant, base in pairs:
        spent, before = _per_unit(variant, cost(variant)), _per_unit(base, cost(base))
        if spent is None or before is None or spent <= 0 or before <= 0:  # a counter that did not move counted nothing
            return None
        savings.append(100 * (1 - spent / before))
    return _interval(savings)


def _interval(values: Sequence[float]) -> Interval | None:
    return Interval.of(values) if values else None


def _all_or_none(values: Sequence[float | None]) -> Interval | None:
    known = [value for value in values if value is not None]
    return Interval.of(known) if known and len(known) == len(values) else None


def _common(names: Iterable[str | None]) -> str | None:
    """The name that all share; None where they differ."""
    different = set(names)
    return different.pop() if len(different) == 1 else None
