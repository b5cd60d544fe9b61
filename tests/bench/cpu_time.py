"""Which process of a benchmark took the CPUs: seconds by program, from the kernel; Linux only."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

from tests.cluster import processes

SHOWN = 5
_USER_TIME, _SYSTEM_TIME = 11, 12  # in /proc/<pid>/stat, counted after the command in parentheses
_IDLE, _IO_WAIT = 3, 4  # in the first line of /proc/stat, counted after its name


class CpuTime:
    """CPU time since it was made.

    Args:
        cluster_folder: the state folder by which a cluster's processes are known.
        named: processes to be told by a name of their own, by process id.
    """

    def __init__(self, cluster_folder: Path, named: Mapping[int, str]) -> None:
        self._folder = cluster_folder
        self._named = {os.getpid(): "harness", **named}
        self._cpus_before = _cpu_ticks()
        self._before = self._now()

    def told(self) -> str:
        """Return the programs' CPU seconds and shares, the busiest first, and what everything else on the host took."""
        ticks = [after - before for before, after in zip(self._cpus_before, _cpu_ticks(), strict=True)]
        available = sum(ticks)
        used = {name: seconds - self._before.get(name, 0.0) for name, seconds in self._now().items()}
        busiest = sorted(used.items(), key=lambda item: -item[1])
        others = max(available - ticks[_IDLE] - ticks[_IO_WAIT] - sum(used.values()), 0.0)
        parts = [*busiest[:SHOWN], ("other programs", others), ("idle", ticks[_IDLE] + ticks[_IO_WAIT])]
        return ", ".join(f"{name} {seconds:.1f} s ({seconds / available:.0%})" for name, seconds in parts)

    def _now(self) -> dict[str, float]:
        marked = processes.marked(self._folder)
        programs = {pid: Path(command.split()[0]).name for pid, command in marked.items() if command}
        seconds: dict[str, float] = defaultdict(float)
        for pid, name in {**programs, **self._named}.items():
            seconds[name] += _cpu_seconds_if_any(pid)
        return seconds


def _cpu_ticks() -> list[float]:
    """Return the seconds that all CPUs together have spent in each state."""
    states = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    return [int(ticks) / os.sysconf("SC_CLK_TCK") for ticks in states]


def _cpu_seconds_if_any(pid: int) -> float:
    try:
        return cpu_seconds(pid)
    except OSError:
        return 0.0  # it has just ended


def cpu_seconds(pid: int) -> float:
    """Return the CPU time that a process has used, with its threads that have ended.

    Raises:
        OSError: there is no such process.
    """
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[_USER_TIME]) + int(fields[_SYSTEM_TIME])) / os.sysconf("SC_CLK_TCK")
