"""NVML's numbers and names as ours: models, clocks to lock, reasons for low clocks. Pure.

What must hold: a lock never lets a GPU run faster than was asked, and only clocks that the GPU knows are locked.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from typing import Final

import pynvml  # type: ignore[import-untyped]  # it ships no types

from ballast.agent.device import OutOfRange, Throttle

MILLIS: Final = 1000  # milliwatts in a watt, millijoules in a joule
MEGA: Final = 1_000_000
MAX_MODEL_LENGTH: Final = 63  # of a label's value

_THROTTLES: Final = (
    (pynvml.nvmlClocksEventReasonGpuIdle, Throttle.IDLE),
    (pynvml.nvmlClocksEventReasonApplicationsClocksSetting, Throttle.CLOCKS),
    (pynvml.nvmlClocksEventReasonSwPowerCap, Throttle.POWER_LIMIT),
    (pynvml.nvmlClocksEventReasonHwSlowdown, Throttle.HARDWARE),
    (pynvml.nvmlClocksEventReasonSwThermalSlowdown, Throttle.THERMAL),
    (pynvml.nvmlClocksEventReasonHwThermalSlowdown, Throttle.THERMAL),
    (pynvml.nvmlClocksEventReasonHwPowerBrakeSlowdown, Throttle.HARDWARE),
)
_KNOWN_THROTTLES: Final = sum(bit for bit, _ in _THROTTLES)


def model_name(name: str) -> str:
    """Return a board's name as GPU feature discovery labels nodes with it: `NVIDIA A40` is `NVIDIA-A40`."""
    return name.replace(" ", "-")[:MAX_MODEL_LENGTH]


def throttles(reasons: int) -> frozenset[Throttle]:
    """Return why the clocks are held back, by NVML's bit mask."""
    found = {throttle for bit, throttle in _THROTTLES if reasons & bit}
    if reasons & ~_KNOWN_THROTTLES:
        found.add(Throttle.OTHER)
    return frozenset(found)


def locked_range(clocks: Sequence[int], lowest_hertz: int, highest_hertz: int) -> tuple[int, int]:
    """Return the range to lock, in MHz: the highest clock is one that the GPU knows and not above `highest_hertz`.

    Args:
        clocks: that the GPU knows, in MHz and ascending; empty if it does not tell.
        lowest_hertz: lower end; the next higher clock that the GPU knows is taken, if it is in the range.
        highest_hertz: upper end.

    Raises:
        OutOfRange: there is no such clock.
    """
    if lowest_hertz > highest_hertz:
        raise OutOfRange(f"the lowest clock, {lowest_hertz} Hz, is above the highest, {highest_hertz} Hz: swap them")
    known = clocks or range(1, highest_hertz // MEGA + 1)
    position = bisect.bisect_right(known, highest_hertz / MEGA)
    if not position:
        remedy = f"ask for {known[0]} MHz or more" if known else "ask for 1 MHz or more"
        raise OutOfRange(f"no clock of the GPU is as low as {highest_hertz / MEGA:g} MHz: {remedy}")
    highest = known[position - 1]
    lowest = known[min(bisect.bisect_left(known, lowest_hertz / MEGA), position - 1)]
    return lowest, highest
