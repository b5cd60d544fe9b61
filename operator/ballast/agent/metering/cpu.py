"""What the agent asks of whatever tells the CPUs' energy: RAPL counters (`rapl`), or a stated model (`cpu_model`).

What must hold of a meter: joules begin at 0 when it is made and never go down, whatever the hardware's counters do, and
a reading says where it comes from.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ballast.api.readings import Source


@dataclass(frozen=True, slots=True)
class PackageReading:
    """One CPU package.

    Attributes:
        index: its number on the node.
        joules: of the package, since the meter began.
        dram_joules: of its memory, likewise; None if that is not counted. It is no part of `joules`.
    """

    index: int
    joules: float
    dram_joules: float | None = None


@dataclass(frozen=True, slots=True)
class CpuReading:
    """All CPU packages, read once.

    Attributes:
        at: seconds on the agent's steady clock (`clock.steady_seconds`).
        packages: in the order of their numbers.
        source: `Counter` or `Estimated`.
    """

    at: float
    packages: tuple[PackageReading, ...]
    source: Source

    @property
    def joules(self) -> float:
        """Of all packages, without memory."""
        return sum(package.joules for package in self.packages)

    @property
    def dram_joules(self) -> float | None:
        """Of all memory that is counted; None if none is."""
        counted = [package.dram_joules for package in self.packages if package.dram_joules is not None]
        return sum(counted) if counted else None


class CpuMeter(Protocol):
    """Tells the CPUs' energy."""

    @property
    def source(self) -> Source:
        """Where its readings come from."""

    def read(self) -> CpuReading:
        """Read all packages; blocks for some files."""
