"""What a GPU has used, from its readings: by its energy counter, or else by adding up its power.

What must hold: each moment between two readings is counted once. The counter goes first, because a sensor that
averages, or looks only now and then, misses what lies between; the integral of power is kept beside it all the time.

- The counter fell (the driver was loaded anew): the integral counts for that interval, the counter for the next.
- The counter stands still while power is drawn: from `STALL_SECONDS` on the integral counts, from where it stopped.
  When it moves again it counts from there on, whether it has caught up meanwhile or not.
- Readings are missing (the GPU was lost): what a counter counted meanwhile is exact, and charged, but marked as a gap.
  If the counter fell or there is none, nobody knows: nothing is charged, and the seconds are counted.
- Counter and integral disagree over a window by more than the sensor's own scatter explains: the counter is still what
  is charged, and the disagreement is counted and told.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass
from typing import Final

from ballast.agent.device import Sample
from ballast.api.operatingpoint import MAX_GPU_WATTS
from ballast.api.readings import Source

STALL_SECONDS: Final = 3.0
STALL_JOULES: Final = 1.0
"""Less than this in `STALL_SECONDS` is a board that is off: its counter may stand still."""
COUNTER_SECONDS: Final = 0.2
"""A counter that moves ten times a second may be late by so much."""
LONGEST_INTERVAL_SECONDS: Final = 5.0

WINDOW_SECONDS: Final = 20.0
TOLERANCE: Final = 0.05
SENSOR_SECONDS: Final = 1.0
"""Most boards tell their power as a mean over a second, half of it late."""
WINDOWS_OF_A_PROBLEM: Final = 3

SETTLING_SECONDS: Final = 5.0
"""A GPU that was used takes so long to come down to its idle power, and its sensor to tell."""
LEAST_IDLE_READINGS: Final = 10
MOST_IDLE_READINGS: Final = 120
IDLE_QUANTILE: Final = 0.2


@dataclass(frozen=True, slots=True)
class Interval:
    """What a GPU used between two readings.

    Attributes:
        gap: readings are missing in between: only who held the GPU before and after can be charged for it.
    """

    seconds: float
    joules: float
    source: Source
    gap: bool = False


class GpuMeter:
    """Counts the joules of one GPU.

    Args:
        longest_interval_seconds: between two readings, lest they are taken for a gap.
        window_seconds: over which counter and integral are compared.

    Attributes:
        resets: how often the counter fell.
        stalls: how often it stood still.
        unmetered_seconds: of gaps of which nothing is known.
    """

    def __init__(
        self,
        longest_interval_seconds: float = LONGEST_INTERVAL_SECONDS,
        window_seconds: float = WINDOW_SECONDS,
    ) -> None:
        self._longest = longest_interval_seconds
        self._last: Sample | None = None
        self._missed = False
        self._moved_at = 0.0
        self._unmoved_joules = 0.0  # by the integral, since the counter moved; charged once it counts as stalled
        self._stalled = False
        self._check = CrossCheck(window_seconds)
        self.resets = 0
        self.stalls = 0
        self.unmetered_seconds = 0.0

    @property
    def last(self) -> Sample | None:
        """The newest reading."""
        return self._last

    @property
    def disagreements(self) -> int:
        """In how many windows counter and integral disagreed."""
        return self._check.disagreements

    @property
    def problem(self) -> str | None:
        """What is wrong with the GPU's figures; None if nothing is known to be."""
        if self._stalled:
            return "its energy counter stands still: energy is counted from its power readings until it moves again"
        return self._check.problem

    def resume(self, sample: Sample) -> None:
        """Go on from a reading that an earlier process took; what comes after it is a gap."""
        self._begin(sample)
        self._missed = True

    def missed(self) -> None:
        """Note that the GPU could not be read."""
        self._missed = True

    def add(self, sample: Sample) -> Interval | None:
        """Take a reading, and return what was used since the one before; None if nothing can be said."""
        last = self._last
        if last is None or sample.at <= last.at:
            if last is None:
                self._begin(sample)
            return None
        seconds = sample.at - last.at
        integral = None
        if last.power_watts is not None and sample.power_watts is not None:
            integral = (last.power_watts + sample.power_watts) / 2 * seconds
        counted = None
        if last.energy_joules is not None and sample.energy_joules is not None:
            counted = sample.energy_joules - last.energy_joules
        # What the integral says of the time in which the counter has not moved, and what is charged by neither so far.
        pending = 0.0 if self._stalled else self._unmoved_joules
        plausible = MAX_GPU_WATTS * (sample.at - self._moved_at + COUNTER_SECONDS)
        is_sound = counted is not None and 0 <= counted <= plausible
        if self._missed or seconds > self._longest:
            if counted is not None and is_sound and not self._stalled:
                self._begin(sample)
                return Interval(seconds, counted, Source.COUNTER, gap=True)
            return self._by_integral(sample, seconds, integral if seconds <= self._longest else None, pending, gap=True)
        if counted is None or not is_sound:
            self.resets += counted is not None
            return self._by_integral(sample, seconds, integral, pending)
        self._last = sample
        return self._by_counter(sample, seconds, integral, counted)

    def _begin(self, sample: Sample) -> None:
        self._last = sample
        self._missed = False
        self._moved_at = sample.at
        self._unmoved_joules = 0.0
        self._stalled = False
        self._check.restart()

    def _by_integral(
        self, sample: Sample, seconds: float, integral: float | None, pending: float, gap: bool = False
    ) -> Interval | None:
        self._begin(sample)
        if integral is None:
            self.unmetered_seconds += seconds
            return Interval(seconds, pending, Source.INTEGRAL, gap) if pending else None
        return Interval(seconds, integral + pending, Source.INTEGRAL, gap)

    def _by_counter(self, sample: Sample, seconds: float, integral: float | None, counted: float) -> Interval | None:
        if counted > 0:
            if self._stalled:  # it may have caught up: what it counted meanwhile is charged already
                return self._by_integral(sample, seconds, integral, 0.0)
            self._moved_at, self._unmoved_joules = sample.at, 0.0
            self._check.add(seconds, counted, integral, sample.power_watts)
            return Interval(seconds, counted, Source.COUNTER)
        if integral is None:
            return Interval(seconds, 0.0, Source.COUNTER)
        self._unmoved_joules += integral
        if self._stalled:
            return Interval(seconds, integral, Source.INTEGRAL)
        if sample.at - self._moved_at >= STALL_SECONDS and self._unmoved_joules > STALL_JOULES:
            self._stalled = True
            self.stalls += 1
            self._check.restart()
            return Interval(seconds, self._unmoved_joules, Source.INTEGRAL)
        self._check.add(seconds, 0.0, integral, sample.power_watts)
        return Interval(seconds, 0.0, Source.COUNTER)


class CrossCheck:
    """Compares a counter with the integral of power, window by window.

    Readings of power scatter, and more so under a load that comes and goes: the sum of them may be off by their
    standard deviation times the root of their number. Only what is beyond twice that, and `TOLERANCE`, is a
    disagreement; only `WINDOWS_OF_A_PROBLEM` in a row to the same side are a problem.
    """

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._window_seconds = window_seconds
        self._in_a_row = 0
        self._told = (0.0, 0.0, 0.0)
        self.disagreements = 0
        self.restart()

    @property
    def problem(self) -> str | None:
        """What disagrees; None if nothing does, or not for long."""
        if abs(self._in_a_row) < WINDOWS_OF_A_PROBLEM:
            return None
        counted, integral, seconds = self._told
        return (
            f"its energy counter and its power readings disagree: {counted:.0f} J against {integral:.0f} J in "
            f"{seconds:.0f} s; the counter is what is charged: compare both with a power meter, or update the driver"
        )

    def restart(self) -> None:
        """Begin a new window."""
        self._seconds = self._counted = self._integral = self._watts = self._squares = 0.0
        self._readings = 0

    def add(self, seconds: float, counted: float, integral: float | None, watts: float | None) -> None:
        """Take an interval; a window ends where the counter has just moved."""
        if integral is None or watts is None:
            self.restart()
            return
        self._seconds += seconds
        self._counted += counted
        self._integral += integral
        self._watts += watts
        self._squares += watts * watts
        self._readings += 1
        if self._seconds >= self._window_seconds and counted > 0:
            self._compare()
            self.restart()

    def _compare(self) -> None:
        mean = self._watts / self._readings
        deviation = math.sqrt(max(self._squares / self._readings - mean * mean, 0.0))
        spacing = max(self._seconds / self._readings, SENSOR_SECONDS)
        scatter = 2 * deviation * math.sqrt(self._seconds * spacing)
        difference = self._integral - self._counted
        if abs(difference) <= TOLERANCE * max(self._integral, self._counted) + scatter:
            self._in_a_row = 0
            return
        self.disagreements += 1
        side = 1 if difference > 0 else -1
        self._in_a_row = self._in_a_row + side if self._in_a_row * side > 0 else side
        self._told = (self._counted, self._integral, self._seconds)


class IdleWatts:
    """The power that something draws without load: a low quantile of what it draws while it has none.

    Args:
        measured: what an earlier process measured; holds until this one has.
        most: what it certainly draws less than, as long as nothing was measured.
    """

    def __init__(self, measured: float | None = None, most: float = math.inf) -> None:
        self._readings: deque[float] = deque(maxlen=MOST_IDLE_READINGS)
        self._used_at = -math.inf
        self._lowest = math.inf
        self._most = most
        self._since = 0
        self.measured = measured

    @property
    def watts(self) -> float:
        """The best that is known: what was measured, else the lowest power seen; 0 before anything was seen."""
        if self.measured is not None:
            return self.measured
        lowest = min(self._lowest, self._most)
        return lowest if math.isfinite(lowest) else 0.0

    def add(self, at: float, watts: float, *, is_idle: bool) -> None:
        """Take a reading, about once a second."""
        if watts <= 0:
            return  # a board in reset
        self._lowest = min(self._lowest, watts)
        if not is_idle:
            self._used_at = at
        elif at - self._used_at >= SETTLING_SECONDS:
            self._readings.append(watts)
            self._since += 1
            if self._since >= LEAST_IDLE_READINGS:  # sorting is not free, and idle power hardly changes
                self._since = 0
                self.measured = sorted(self._readings)[int(IDLE_QUANTILE * len(self._readings))]
