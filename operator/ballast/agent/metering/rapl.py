"""CPU and memory energy by RAPL, as Linux shows it in `/sys/class/powercap`; AMD's packages have the same names there.

A zone counts microjoules up to its `max_energy_range_uj` and begins at 0 again: after some twenty minutes under load
on a large package. What must hold: joules never go down, and every wrap-around is counted once, which takes a reading
more often than that. A counter that was reset (a driver loaded anew) is no wrap-around: what it lost is not made up.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from pathlib import Path

from ballast.agent.metering.cpu import CpuReading, PackageReading
from ballast.api.readings import Source
from ballast.clock import steady_seconds

logger = logging.getLogger(__name__)

MAX_ZONE_WATTS = 5_000.0
"""More than any package or its memory draws: what would take more is no wrap-around but a reset."""

_ZONE = re.compile(r"intel-rapl:(\d+)(?::(\d+))?")  # not intel-rapl-mmio: the same counters by another way
_PACKAGE = re.compile(r"package-(\d+)(?:-die-\d+)?")  # not psys: the whole platform, packages included


class Zone:
    """One counter.

    Args:
        folder: with `energy_uj` and `max_energy_range_uj`.
        at: seconds on the steady clock, now.

    Raises:
        OSError: it cannot be read.
        ValueError: what it tells is no number.
    """

    def __init__(self, folder: Path, at: float) -> None:
        self._energy = folder / "energy_uj"
        self._range = int((folder / "max_energy_range_uj").read_text())
        self._last = self._count()
        self._at = at
        self._microjoules = 0

    def _count(self) -> int:
        return int(self._energy.read_text())

    def joules(self, at: float) -> float:
        """Return the joules since this was made."""
        count = self._count()
        step = count - self._last
        if step < 0:
            step += self._range
            if step > MAX_ZONE_WATTS * 1e6 * max(at - self._at, 0.0):
                step = count  # it was reset, and has counted so far since
        self._microjoules += max(step, 0)
        self._last, self._at = count, at
        return self._microjoules / 1e6


class RaplPackages:
    """The CPU packages of this machine; those of several dies are added up.

    Args:
        root: `/sys/class/powercap`, or the node's under another path.
        clock: seconds that only pass.

    Attributes:
        problem: why there are no packages, or not all that could be; None if all is well.
    """

    source = Source.COUNTER

    def __init__(self, root: Path, clock: Callable[[], float] = steady_seconds) -> None:
        self._clock = clock
        self._packages: dict[int, list[Zone]] = {}
        self._dram: dict[int, list[Zone]] = {}
        self._last: dict[int, PackageReading] = {}
        self.problem: str | None = None
        self._find(root)

    def __bool__(self) -> bool:
        """Whether there is anything to read."""
        return bool(self._packages)

    def _find(self, root: Path) -> None:
        try:
            folders = sorted(folder for folder in root.iterdir() if _ZONE.fullmatch(folder.name))
        except OSError as error:
            self._complain(f"{root} cannot be read ({error.strerror}): this machine or its kernel shows no RAPL")
            return
        numbers: dict[str, int] = {}  # zone -> package
        for folder in folders:
            if (package := _PACKAGE.fullmatch(_name(folder))) is not None:
                numbers[folder.name] = int(package[1])
        for folder in folders:
            if (number := numbers.get(folder.name)) is not None:
                self._add(self._packages, number, folder)
            elif (number := numbers.get(folder.name.rpartition(":")[0])) is not None and _name(folder) == "dram":
                self._add(self._dram, number, folder)
        if not numbers:
            self._complain(f"{root} has no zone of a CPU package: this machine or its kernel shows no RAPL")

    def _add(self, zones: dict[int, list[Zone]], number: int, folder: Path) -> None:
        try:
            zone = Zone(folder, self._clock())
        except (OSError, ValueError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            self._complain(f"{folder}/energy_uj cannot be read ({what}): only root may, and only where RAPL is")
        else:
            zones.setdefault(number, []).append(zone)

    def read(self) -> CpuReading:
        """Read all packages.

        A package that cannot be read any more keeps its last joules.
        """
        at = self._clock()
        for number, zones in sorted(self._packages.items()):
            try:
                joules = sum(zone.joules(at) for zone in zones)
                dram = self._dram.get(number)
                dram_joules = sum(zone.joules(at) for zone in dram) if dram else None
                self._last[number] = PackageReading(number, joules, dram_joules)
            except (OSError, ValueError) as error:
                self._last.setdefault(number, PackageReading(number, 0.0))
                self._complain(f"CPU package {number} cannot be read any more: {error}")
        return CpuReading(at, tuple(self._last.values()), self.source)

    def _complain(self, problem: str) -> None:
        """Keep the first problem, and log it once."""
        if self.problem is None:
            self.problem = problem
            logger.info("CPU energy is not all counted", extra={"problem": problem})


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""
