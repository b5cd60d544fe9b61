"""Where a figure of power or energy comes from."""

from __future__ import annotations

from enum import StrEnum


class Source(StrEnum):
    """Where a figure comes from, the best first."""

    COUNTER = "Counter"
    """The hardware counts joules."""
    INTEGRAL = "Integral"
    """The hardware tells watts, and somebody adds them up."""
    ESTIMATED = "Estimated"
    """A model: the hardware tells nothing."""


class Component(StrEnum):
    """What draws power for a pod."""

    GPU = "gpu"
    CPU = "cpu"
    DRAM = "dram"
