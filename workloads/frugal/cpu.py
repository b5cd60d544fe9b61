"""How many CPU threads this process may use without fighting its neighbours, and what CPU time it has used.

A container with a limit of one CPU still sees every core of its node; a thread per core would then spend its time being
throttled. The share is the smaller of the affinity mask and the cgroup quota (v2 or v1), divided by the processes that
torchrun started here.
"""

from __future__ import annotations

import math
import os
import time
from collections.abc import Iterator
from pathlib import Path


def available_cpus(cgroup_root: Path = Path("/sys/fs/cgroup"), proc: Path = Path("/proc/self/cgroup")) -> float:
    """CPUs that this process may keep busy, possibly a fraction."""
    cpus = float(len(os.sched_getaffinity(0)))
    return min([cpus, *_quotas(cgroup_root, proc)])


def thread_count(local_processes: int, cpus: float) -> int:
    """Threads for one of ``local_processes`` equal processes; a fraction of a CPU rounds down, but never to none."""
    return max(1, math.floor(cpus / local_processes))


def used_seconds(cgroup_root: Path = Path("/sys/fs/cgroup")) -> float:
    """CPU time that this container has used; of this process, where no cgroup tells it."""
    unified = _words(cgroup_root / "cpu.stat")
    if unified[:1] == ["usage_usec"]:
        return int(unified[1]) / 1e6
    for controller in ("cpuacct", "cpu,cpuacct"):
        words = _words(cgroup_root / controller / "cpuacct.usage")
        if words:
            return int(words[0]) / 1e9
    return time.process_time()


def _quotas(root: Path, proc: Path) -> Iterator[float]:
    for folder in _folders(root, proc):
        unified = _words(folder / "cpu.max")
        if len(unified) == 2 and unified[0] != "max":
            yield int(unified[0]) / int(unified[1])
        quota, period = _words(folder / "cpu.cfs_quota_us"), _words(folder / "cpu.cfs_period_us")
        if quota and period and int(quota[0]) > 0:
            yield int(quota[0]) / int(period[0])


def _folders(root: Path, proc: Path) -> Iterator[Path]:
    """The process's cgroup and every parent that is visible: the tightest quota on the way up holds."""
    yield from (root, root / "cpu", root / "cpu,cpuacct")
    try:
        memberships = proc.read_text().splitlines()
    except OSError:
        return
    for line in memberships:
        _, controllers, path = line.split(":", 2)
        if controllers and "cpu" not in controllers.split(","):
            continue
        folder = root / controllers / path.strip("/")
        while folder not in (root, root / controllers) and root in folder.parents:
            yield folder
            folder = folder.parent


def _words(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []
