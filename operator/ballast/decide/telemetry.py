"""What Prometheus tells of jobs, as frozen values: power, energy, progress, and how fresh they are.

Invariant: what is not known is None or absent, never 0; nothing here says whether it is fresh enough, that is for
whoever decides on it (G6).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ballast.api.finalreading import FinalReading, Training
from ballast.api.source import Component


@dataclass(frozen=True, slots=True)
class Telemetry:
    """One attempt of a job, all its pods together, as it was known when Prometheus was asked.

    Attributes:
        attempt: its number.
        asked_at: when Prometheus was asked, seconds since the epoch.
        pods: of how many pods there are figures.
        oldest_at: when the meter looked last at the pod whose figures are oldest, seconds since the epoch; never later
            than `asked_at`.
        read_at: the same on average over the pods: of that moment, if they draw alike, are the joules of them all. Like
            `training.reported_at` by the nodes' clocks, which may be ahead.
        joules: by component, since each pod began.
        watts: of all pods; None if no pod tells it.
        training: what the trainer reported, the evaluations among it that came since the last time.
        missed_evaluations: how many were reported in this attempt whose values nobody knows.
    """

    attempt: int
    asked_at: float
    pods: int
    oldest_at: float | None = None
    read_at: float | None = None
    joules: Mapping[Component, float] = field(default_factory=dict)
    watts: float | None = None
    training: Training | None = None
    missed_evaluations: int = 0


@dataclass(frozen=True, slots=True)
class Poll:
    """All answers of one time that Prometheus was asked.

    Attributes:
        asked_at: seconds since the epoch.
        jobs: by the job's UID, of its latest attempt that there are figures of.
        pods: by pod UID, the last that is known of the pods that were asked for by UID.
        problem: why there are no answers, or not all; None if there are.
    """

    asked_at: float
    jobs: Mapping[str, Telemetry] = field(default_factory=dict)
    pods: Mapping[str, FinalReading] = field(default_factory=dict)
    problem: str | None = None
