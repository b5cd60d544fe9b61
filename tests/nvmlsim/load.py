"""Load of simulated GPUs: how hard the containers that hold them work, and how fast they may.

A container that holds GPUs is known by `NVIDIA_VISIBLE_DEVICES` in the environment with which its first process began,
and its use of CPU within its limit stands for its use of the GPU. A board that is slow slows it by its CPU quota. So
trainers hold no code of the simulation, and nothing here asks the kubelet, as the agent does. What it computes, and so
which measured curve its board follows, it may say in `NVMLSIM_WORKLOAD`.

Invariants: the quota that a container was found with is written down before it is changed, and what is not known to be
ours is taken for found; demand is measured against the quota in force, so that a slowed container that uses all it may
is as busy as before. Works on cgroup v1 and v2; process ids are those of this process' own PID namespace.
"""

from __future__ import annotations

import json
import os
import re
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.cgroups import CGROUP_ROOT, is_v2

#: Demand is a mean over this many readings: bandwidth control deals out time in periods as long as one reading.
READINGS = 6
LEAST_QUOTA_MICROSECONDS = 1000
#: A quota is not written for less than this change of speed.
SPEED_STEP = 0.005

_POD = re.compile(r"pod([0-9a-f-]{32,36})")
_VARIABLE = b"NVIDIA_VISIBLE_DEVICES="
_WORKLOAD = b"NVMLSIM_WORKLOAD="
_DEVICE = re.compile(r"(GPU|MIG)-[0-9a-zA-Z-]+")


@dataclass(frozen=True, slots=True)
class Quota:
    """CPU bandwidth of a group.

    Attributes:
        microseconds: CPU time a period; None is unlimited.
        period_microseconds: the period.
    """

    microseconds: int | None
    period_microseconds: int = 100_000

    @property
    def cpus(self) -> float:
        """How many CPUs that is; one where it is unlimited."""
        return 1.0 if self.microseconds is None else self.microseconds / self.period_microseconds

    def scaled(self, speed: float) -> Quota:
        """Return this quota for a container that is to run at a share of its speed; at full speed it is the same."""
        if speed >= 1.0:
            return self
        whole = self.period_microseconds if self.microseconds is None else self.microseconds
        return Quota(max(LEAST_QUOTA_MICROSECONDS, round(whole * speed)), self.period_microseconds)


class CpuGroup:
    """The control group of one container.

    Args:
        cpu: Its folder in the hierarchy that has the quota.
        usage: Its folder in the hierarchy that counts CPU time; on v2 the same.
        v2: Whether that is the unified hierarchy.
    """

    def __init__(self, cpu: Path, usage: Path, *, v2: bool) -> None:
        self._cpu = cpu
        self._usage = usage
        self._v2 = v2

    def used_seconds(self) -> float:
        """Return the CPU time that it has used."""
        if self._v2:
            fields = dict(line.split(" ", 1) for line in (self._usage / "cpu.stat").read_text().splitlines())
            return int(fields["usage_usec"]) / 1e6
        return int((self._usage / "cpuacct.usage").read_text()) / 1e9

    def quota(self) -> Quota:
        """Return the quota in force."""
        if self._v2:
            most, period = (self._cpu / "cpu.max").read_text().split()
            return Quota(None if most == "max" else int(most), int(period))
        most_microseconds = int((self._cpu / "cpu.cfs_quota_us").read_text())
        period_microseconds = int((self._cpu / "cpu.cfs_period_us").read_text())
        return Quota(None if most_microseconds < 0 else most_microseconds, period_microseconds)

    def set_quota(self, quota: Quota) -> None:
        """Set the quota; its period is the group's own."""
        if self._v2:
            most = "max" if quota.microseconds is None else str(quota.microseconds)
            (self._cpu / "cpu.max").write_text(f"{most} {quota.period_microseconds}")
        else:
            (self._cpu / "cpu.cfs_quota_us").write_text(str(-1 if quota.microseconds is None else quota.microseconds))

    def pids(self) -> tuple[int, ...]:
        """Return its processes."""
        return tuple(int(line) for line in (self._cpu / "cgroup.procs").read_text().split())


@dataclass(slots=True)
class Container:
    """A container that holds GPUs.

    Attributes:
        id: its id.
        pod_uid: the UID of its pod.
        devices: UUIDs of the GPUs or MIG devices that it holds.
        group: its control group.
        workload: what it computes, as it says itself (`curves.curve`); empty where it says nothing.
    """

    id: str
    pod_uid: str
    devices: tuple[str, ...]
    group: CpuGroup
    workload: str = ""
    _readings: deque[tuple[float, float]] = field(default_factory=lambda: deque(maxlen=READINGS))

    def demand(self, elapsed_seconds: float) -> float:
        """Return the share of its CPU limit that it used lately, 0 to 1.

        Args:
            elapsed_seconds: Time since this was last asked.

        Raises:
            OSError: It is gone.
        """
        used, allowed = self.group.used_seconds(), self.group.quota().cpus * elapsed_seconds
        if self._readings:
            allowed += self._readings[-1][1]
        self._readings.append((used, allowed))
        (first_used, first_allowed), (last_used, last_allowed) = self._readings[0], self._readings[-1]
        if last_allowed <= first_allowed:
            return 0.0
        return min(1.0, max(0.0, (last_used - first_used) / (last_allowed - first_allowed)))


class Containers:
    """The containers of a node that hold GPUs, as they come and go.

    Args:
        node_group: Name of the node's root group.
        root: Where control groups are mounted.
        proc: The node's `/proc`.
    """

    def __init__(self, node_group: str, *, root: Path = CGROUP_ROOT, proc: Path = Path("/proc")) -> None:
        self._v2 = is_v2(root)
        self._cpu = (root if self._v2 else root / "cpu") / node_group / "kubepods"
        self._usage = (root if self._v2 else root / "cpuacct") / node_group / "kubepods"
        self._proc = proc
        self._known: dict[Path, Container | None] = {}

    def scan(self) -> Sequence[Container]:
        """Return the containers that hold GPUs now; one that was seen before is the same object."""
        present = dict(self._groups())
        for gone in self._known.keys() - present.keys():
            del self._known[gone]
        for path, pod_uid in present.items():
            if path not in self._known:
                with suppress(OSError):
                    self._look_at(path, pod_uid)
        return [container for container in self._known.values() if container is not None]

    def _look_at(self, path: Path, pod_uid: str) -> None:
        """Find out what a container holds; as long as its first process is still being made, nothing is known."""
        group = CpuGroup(path, self._usage / path.relative_to(self._cpu), v2=self._v2)
        for pid in sorted(group.pids()):
            with suppress(OSError):
                # In this order: a process that has its name has its environment, too.
                if (self._proc / str(pid) / "comm").read_text().startswith("runc"):
                    continue
                environment = (self._proc / str(pid) / "environ").read_bytes()
                if not environment:
                    continue
                devices = _devices(environment)
                workload = _value(environment, _WORKLOAD)
                self._known[path] = Container(path.name, pod_uid, devices, group, workload) if devices else None
                return

    def _groups(self) -> Iterator[tuple[Path, str]]:
        """Every container's group, whatever the class of service of its pod."""
        for folder in (self._cpu, self._cpu / "burstable", self._cpu / "besteffort"):
            for pod in _folders(folder):
                if found := _POD.fullmatch(pod.name):
                    for container in _folders(Path(pod)):
                        yield Path(container), found.group(1)


def _devices(environment: bytes) -> tuple[str, ...]:
    named = _value(environment, _VARIABLE).split(",")
    return tuple(dict.fromkeys(device for device in named if _DEVICE.fullmatch(device)))


def _value(environment: bytes, variable: bytes) -> str:
    """Return what a variable, named with its equals sign, says; nothing where it is not set."""
    found = (entry.removeprefix(variable) for entry in environment.split(b"\0") if entry.startswith(variable))
    return next(found, b"").decode(errors="replace")


def _folders(folder: Path) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return [entry for entry in entries if entry.is_dir()]
    except OSError:
        return []


class Brake:
    """Slows containers by their CPU quota, and lets go of them again.

    Args:
        journal: File with the quotas that slowed containers were found with; on a file system that does not outlive
            the node's boot.
    """

    def __init__(self, journal: Path) -> None:
        self._journal = journal
        self._found: dict[str, Quota] = _read(journal)
        self._set: dict[str, Quota] = {}

    def slow(self, container: Container, speed: float) -> None:
        """Let a container run at a share of the speed that it was found with.

        Raises:
            OSError: It is gone.
        """
        present = container.group.quota()
        ours = self._set.get(container.id)
        if container.id not in self._found:
            found = present
        elif ours is not None and present != ours:
            found = present  # somebody, as when a pod is resized in place
        else:
            found = self._found[container.id]
        wanted = found.scaled(speed)
        if wanted != found and present != found and abs(wanted.cpus - present.cpus) < SPEED_STEP * found.cpus:
            return
        if self._found.get(container.id) != found:
            self._found[container.id] = found
            self._write()
        if wanted != present:
            container.group.set_quota(wanted)
        self._set[container.id] = wanted

    def release(self, containers: Sequence[Container]) -> None:
        """Give containers the quotas back that they were found with."""
        for container in containers:
            with suppress(OSError):
                self.slow(container, 1.0)

    def forget_all_but(self, containers: Sequence[Container]) -> None:
        """Drop what is known of containers that are gone."""
        present = {container.id for container in containers}
        gone = self._found.keys() - present
        for container_id in gone:
            del self._found[container_id]
        for container_id in self._set.keys() - present:
            del self._set[container_id]
        if gone:
            self._write()

    def _write(self) -> None:
        part = self._journal.with_suffix(".part")
        content = {key: [quota.microseconds, quota.period_microseconds] for key, quota in self._found.items()}
        part.write_text(json.dumps(content))
        part.rename(self._journal)


def _read(journal: Path) -> dict[str, Quota]:
    try:
        return {key: Quota(*value) for key, value in json.loads(journal.read_text()).items()}
    except FileNotFoundError:
        return {}
