"""Policies side by side: means over seeds, and what each saves against the baseline, paired by seed.

A saving is ``1 - policy / baseline`` of the *same* seed, in percent, and only then averaged: what the two share (the
jobs, the ties) cancels. What must hold: a figure of one seed has no interval, a saving is stated only from seeds that
both have, and policies that see to the jobs' slowdown are never mixed with those that do not.

Source of the interval: Student, "The probable error of a mean", 1908; 95 %, n - 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from ballast.errors import UserError
from ballast.simulate.engine.outcome import JobRow, Summary

CONFIDENCE = 0.95
SPANS = 360
"""Into how many the time until the horizon is divided for drawings of power."""

Figure = Callable[[Summary], float | None]
"""One figure of an arm; None where there is none, as grams without a carbon series."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over seeds.

    Attributes:
        half: Half of the 95 % confidence interval; None with one seed: there is nothing to tell the spread from.
        n: How many seeds.
    """

    mean: float
    half: float | None
    n: int

    @classmethod
    def of(cls, values: Sequence[float]) -> Interval:
        """The interval of one value a seed; at least one."""
        mean = fmean(values)
        if len(values) == 1:
            return cls(mean, None, 1)
        from scipy.special import stdtrit  # type: ignore[import-untyped]  # slow to import

        factor = float(stdtrit(len(values) - 1, (1 + CONFIDENCE) / 2))
        return cls(mean, factor * stdev(values) / math.sqrt(len(values)), len(values))


@dataclass(frozen=True, slots=True)
class Check:
    """A rule of the harness.

    Attributes:
        rule: What must hold.
        held: Whether it did; None where it could not be judged.
        detail: What was found; may be empty.
    """

    rule: str
    held: bool | None
    detail: str = ""

    @property
    def verdict(self) -> str:
        """In one word."""
        return "not judged" if self.held is None else "held" if self.held else "NOT HELD"


@dataclass(frozen=True, slots=True)
class PowerSeries:
    """Mean power of the whole cluster in equal spans of time, from the trace's beginning on.

    Attributes:
        span_seconds: How long each is.
        watts: Means.
    """

    span_seconds: float
    watts: tuple[float, ...]

    @classmethod
    def of(cls, steps: Iterable[tuple[float, float, float]], horizon: float, spans: int = SPANS) -> PowerSeries:
        """Means of what lasted.

        Args:
            steps: Start, end and watts of each step, in order.
            horizon: Seconds until which it is shown; above 0.
            spans: Into how many.
        """
        width = horizon / spans
        joules = [0.0] * spans
        for start, end, watts in steps:
            first, last = (min(int(moment / width), spans - 1) for moment in (start, min(end, horizon)))
            for span in range(first, last + 1):
                low, high = max(start, span * width), min(end, (span + 1) * width)
                joules[span] += watts * max(high - low, 0.0)
        return cls(width, tuple(joule / width for joule in joules))


@dataclass(frozen=True, slots=True)
class ArmResult:
    """A policy's run under one seed, reduced to what reports show.

    Attributes:
        summary: Until the horizon that all arms of this seed share; names policy and seed.
        reference: Who describes the policy, and where.
        jobs: A row for each.
        power: Until the same horizon.
    """

    summary: Summary
    reference: str
    jobs: tuple[JobRow, ...]
    power: PowerSeries


@dataclass(frozen=True, slots=True)
class Entry:
    """A policy over all its seeds.

    Attributes:
        policy: Its name.
        arms: By seed; at least one.
        baseline: Arms of the policy that savings are against; none where there are none, or this is it.
        second: Likewise, of the second policy that they are against.
    """

    policy: str
    arms: tuple[ArmResult, ...]
    baseline: tuple[ArmResult, ...] = ()
    second: tuple[ArmResult, ...] = ()

    @property
    def reference(self) -> str:
        """Who describes it, and where."""
        return self.arms[0].reference

    @property
    def keeps_slowdown(self) -> bool:
        """Whether it sees to the jobs' slowdown."""
        return self.arms[0].summary.keeps_slowdown

    @property
    def seeds(self) -> tuple[int, ...]:
        """Those that there is an arm of."""
        return tuple(arm.summary.seed for arm in self.arms)

    def mean(self, figure: Figure) -> Interval | None:
        """The figure over all seeds; None where any seed has none."""
        values = [value for arm in self.arms if (value := figure(arm.summary)) is not None]
        return Interval.of(values) if len(values) == len(self.arms) else None

    def saved_percent(self, figure: Figure, *, second: bool = False) -> Interval | None:
        """What is saved, in percent of the baseline's; None for the baseline, and where nothing can be said.

        Args:
            figure: Of what.
            second: Against the second policy instead.
        """
        savings = self.savings_percent(figure, second=second)
        return Interval.of(savings) if savings else None

    def savings_percent(self, figure: Figure, *, second: bool = False) -> list[float]:
        """The savings of which `saved_percent` is the mean, one for each seed of which it can be said."""
        others = self.second if second else self.baseline
        against = {arm.summary.seed: figure(arm.summary) for arm in others}
        savings = []
        for arm in self.arms:
            own, other = figure(arm.summary), against.get(arm.summary.seed)
            if own is not None and other is not None and other > 0:
                savings.append(100 * (1 - own / other))
        return savings


@dataclass(frozen=True, slots=True)
class Comparison:
    """All policies that did the same jobs on the same cluster.

    Attributes:
        baseline: Name of the policy that savings are against; it may be missing from ``entries`` if its arms failed.
        entries: In the order in which they were asked for; at least one.
        second: Name of another policy that savings are against too; empty for none.
    """

    baseline: str
    entries: tuple[Entry, ...]
    second: str = ""

    @classmethod
    def of(cls, arms: Iterable[ArmResult], policies: Sequence[str], second: str = "") -> Comparison:
        """Compare arms.

        Args:
            arms: In any order; some may be missing.
            policies: Names, the baseline first; those without an arm are left out.
            second: Name of another policy that savings are to be against too.

        Raises:
            UserError: There is no arm at all, or two of the same policy and seed.
        """
        by_policy: dict[str, dict[int, ArmResult]] = {name: {} for name in policies}
        for arm in arms:
            policy, seed = arm.summary.policy, arm.summary.seed
            if by_policy[policy].setdefault(seed, arm) is not arm:
                raise UserError(f"policy {policy!r}, seed {seed}: stands twice: name it once")
        ordered = {name: tuple(own[seed] for seed in sorted(own)) for name, own in by_policy.items() if own}
        if not ordered:
            raise UserError("no policy was simulated to the end: there is nothing to compare")
        baseline, other = ordered.get(policies[0], ()), ordered.get(second, ())
        entries = (
            Entry(name, own, () if name == policies[0] else baseline, () if name == second else other)
            for name, own in ordered.items()
        )
        return cls(policies[0], tuple(entries), second if other else "")

    @property
    def groups(self) -> tuple[tuple[str, tuple[Entry, ...]], ...]:
        """Entries apart, each with a title: the baseline, those that see to the slowdown, those that do not."""
        others = [entry for entry in self.entries if entry.policy != self.baseline]
        split = (
            ("baseline", [entry for entry in self.entries if entry.policy == self.baseline]),
            ("policies that see to the jobs' slowdown", [entry for entry in others if entry.keeps_slowdown]),
            ("policies that do not", [entry for entry in others if not entry.keeps_slowdown]),
        )
        return tuple((title, tuple(entries)) for title, entries in split if entries)

    @property
    def seeds(self) -> tuple[int, ...]:
        """All that any policy has."""
        return tuple(sorted({seed for entry in self.entries for seed in entry.seeds}))
