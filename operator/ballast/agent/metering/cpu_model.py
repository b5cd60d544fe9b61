"""CPU energy where nothing counts it: a stated model, and labelled so (`Estimated`).

    package watts = idle + (full - idle) * utilization,  with idle and full proportional to its hardware threads

The coefficients, and how far off a figure may be, are those of `ballast.cpu_power`. It is good enough to share a node's
CPU energy among its pods, and for no comparison between machines. Memory is not told apart.

What must hold: joules never go down, also when a CPU goes offline or its counters step back.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

from ballast.agent.metering.cpu import CpuReading, PackageReading
from ballast.api.readings import Source
from ballast.clock import steady_seconds
from ballast.cpu_power import DEFAULT, Coefficients

_BUSY_FIELDS = (0, 1, 2, 5, 6)
"""Of a line `cpuN`: user, nice, system, irq, softirq. User and nice hold guests' time; steal was others' CPU."""


def packages_of(cpuinfo: str) -> dict[int, int]:
    """Return the package of each CPU by `/proc/cpuinfo`; 0 where that does not tell, as on Arm."""
    packages: dict[int, int] = {}
    cpu: int | None = None
    for line in cpuinfo.splitlines():
        name, _, value = line.partition(":")
        match name.strip():
            case "processor" if value.strip().isdecimal():
                cpu = int(value)
                packages[cpu] = 0
            case "physical id" if cpu is not None:
                packages[cpu] = int(value)
    return packages


def busy_seconds(stat: str, ticks_per_second: int) -> dict[int, float]:
    """Return for how long each CPU was busy since the machine started, by `/proc/stat`."""
    busy: dict[int, float] = {}
    for line in stat.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdecimal():
            busy[int(name[3:])] = sum(int(fields[field]) for field in _BUSY_FIELDS) / ticks_per_second
    return busy


class CpuModel:
    """Estimates the energy of each CPU package from how busy its CPUs are.

    Args:
        proc_root: the node's `/proc`.
        coefficients: of the model.
        clock: seconds that only pass.

    Raises:
        OSError: `/proc` cannot be read.
    """

    source = Source.ESTIMATED

    def __init__(
        self,
        proc_root: Path,
        coefficients: Coefficients = DEFAULT,
        clock: Callable[[], float] = steady_seconds,
    ) -> None:
        self._stat = proc_root / "stat"
        self._coefficients = coefficients
        self._clock = clock
        self._ticks = os.sysconf("SC_CLK_TCK")
        self._packages = packages_of((proc_root / "cpuinfo").read_text())
        self._at = clock()
        self._busy = self._read_busy()
        self._joules = dict.fromkeys(sorted({self._package(cpu) for cpu in self._busy}), 0.0)

    def idle_watts(self) -> Mapping[int, float]:
        """Return what the model says of each package without load, by its number."""
        watts = dict.fromkeys(self._joules, 0.0)
        for cpu in self._busy:
            watts[self._package(cpu)] += self._coefficients.idle_watts
        return watts

    def read(self) -> CpuReading:
        """Estimate what was used since the last reading, and return all so far."""
        at, busy = self._clock(), self._read_busy()
        seconds = max(at - self._at, 0.0)
        for cpu, total in busy.items():
            used = min(max(total - self._busy.get(cpu, total), 0.0), seconds)
            package = self._package(cpu)
            self._joules[package] = self._joules.get(package, 0.0) + self._coefficients.joules(1, seconds, used)
        self._at, self._busy = at, {**self._busy, **busy}
        packages = (PackageReading(index, joules) for index, joules in sorted(self._joules.items()))
        return CpuReading(at, tuple(packages), self.source)

    def _package(self, cpu: int) -> int:
        return self._packages.get(cpu, 0)

    def _read_busy(self) -> dict[int, float]:
        return busy_seconds(self._stat.read_text(), self._ticks)
