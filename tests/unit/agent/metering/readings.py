"""A GPU whose readings are made up, and the bills that a meter makes of them."""

from __future__ import annotations

from collections.abc import Iterable

from ballast.agent.device import Sample
from ballast.agent.metering.gpu_meter import GpuMeter, Interval


class Board:
    """A board on paper: time passes when told to, at a power that can be set.

    Attributes:
        joules: what it truly used.
        counter: what it says that it used; None if it does not count.
        told_watts: what it says that it draws; None if it does not tell.
    """

    def __init__(self, watts: float = 100.0, counter: float | None = 1000.0, *, tells_power: bool = True) -> None:
        self.at = 50.0
        self.watts = watts
        self.joules = 0.0
        self.counter = counter
        self.tells_power = tells_power
        self.sensor_factor = 1.0
        self.stands_still = False

    def sample(self) -> Sample:
        """Read it now."""
        return Sample(self.at, self.counter, self.watts * self.sensor_factor if self.tells_power else None)

    def after(self, seconds: float = 1.0) -> Sample:
        """Read it after some time."""
        self.at += seconds
        self.joules += self.watts * seconds
        if self.counter is not None and not self.stands_still:
            self.counter += self.watts * seconds
        return self.sample()

    def reset(self, counter: float = 0.0) -> None:
        """Load its driver anew."""
        self.counter = counter


def metered(meter: GpuMeter, samples: Iterable[Sample]) -> list[Interval]:
    """Return the intervals that a meter makes of readings."""
    return [interval for sample in samples if (interval := meter.add(sample)) is not None]


def joules(intervals: Iterable[Interval]) -> float:
    """Return what they add up to."""
    return sum(interval.joules for interval in intervals)
