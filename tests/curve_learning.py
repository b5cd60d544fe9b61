"""A job that learns which power limit is best, as the loop does it: choose, watch, choose again."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.known_limits import Trust, known_limits, pooled
from ballast.decide.model.prediction import Sample
from ballast.decide.points.choosing import Choice, Kind, choose
from ballast.decide.points.exploring import lost_seconds
from ballast.decide.points.wishes import Exploration, Wishes
from tests.curve_builders import MadeUpCurve

READING_SECONDS = Exploration().reading_seconds
KEPT_SAMPLES = Trust().settled_samples


@dataclass
class LearningJob:
    """A job with a curve that only its readings tell of, and what has become of it so far.

    Attributes:
        curve: What it really does.
        seconds: How long it would run at the found limit.
        noise: Relative standard deviation of a reading's throughput.
        wishes: Its own.
        dice: Of the readings.
        model: What the energy model believes before it has samples; None if it is right but for its doubt.
    """

    curve: MadeUpCurve
    seconds: float
    noise: float = 0.01
    wishes: Wishes = field(default_factory=Wishes)
    dice: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))
    model: MadeUpCurve | None = None
    kept: dict[float, list[Sample]] = field(default_factory=lambda: defaultdict(list))
    choices: list[Choice] = field(default_factory=list)
    seconds_at: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    work_done: float = 0.0
    joules: float = 0.0

    @property
    def samples(self) -> list[Sample]:
        """The newest of each limit, as a profile keeps them."""
        return [sample for kept in self.kept.values() for sample in kept[-KEPT_SAMPLES:]]

    @property
    def ran_seconds(self) -> float:
        """How long it has run."""
        return sum(self.seconds_at.values())

    @property
    def slowdown_percent(self) -> float:
        """How much longer it took so far than at the found limit."""
        return 100 * (self.ran_seconds / self.work_done - 1)

    @property
    def visits(self) -> int:
        """How many readings it spent on learning, those at the found limit left out."""
        found = self.curve.gpu.max_limit_watts
        return sum(choice.kind is Kind.EXPLORE and choice.limit_watts != found for choice in self.choices)

    @property
    def lost_seconds(self) -> float:
        """How much longer its visits took than if their limits were just allowed."""
        most = 100 + self.wishes.max_slowdown_percent
        tried = [choice.limit_watts for choice in self.choices if choice.kind is Kind.EXPLORE]
        slowdowns = [100 + self.curve.true_slowdown_percent(limit) for limit in tried]
        return sum(READING_SECONDS * max(1 - most / slowdown, 0.0) for slowdown in slowdowns)

    def step(self, limits: Sequence[float] | None = None) -> Choice:
        """Choose, and run at that limit for one reading."""
        limits = candidate_limits(self.curve.gpu) if limits is None else limits
        samples = self.samples
        curve = (self.model or self.curve).after(samples)
        known = known_limits(curve, limits, pooled(samples), self.wishes.trust)
        wishes = replace(
            self.wishes,
            ran_seconds=self.ran_seconds,
            left_seconds=self.seconds - self.work_done,
            lost_seconds=lost_seconds(known, self.seconds_at, self.wishes),
            now_watts=self.choices[-1].limit_watts if self.choices else None,
        )
        choice = choose(curve, limits, samples, wishes)
        limit = choice.limit_watts
        off_by = float(self.dice.normal(0, self.noise))
        self.kept[limit].append(self.curve.measured(limit, error=max(self.noise, 1e-4), off_by=off_by))
        self.choices.append(choice)
        self.seconds_at[limit] += READING_SECONDS
        self.work_done += READING_SECONDS / (1 + self.curve.true_slowdown_percent(limit) / 100)
        self.joules += READING_SECONDS * self.curve.true_watts(limit)
        return choice

    def run(self) -> LearningJob:
        """Run it to its end."""
        while self.work_done < self.seconds:
            self.step()
        return self
