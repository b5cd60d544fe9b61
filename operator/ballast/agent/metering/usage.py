"""How much each pod used a GPU that several hold: by what the driver tells of processes, and whose processes they are.

What must hold: use is counted for the pod in whose control group a process is, whatever pid the pod itself sees. Where
the driver keeps no account of processes (MIG, old boards), those holders are taken to use the GPU who have a process on
it, alike (of MIG: by slices): MIG gives each its own part, and no board tells the parts' power.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Final

from ballast.agent.device import DeviceError, DriverGone, NotSupported, PowerDevice
from ballast.agent.metering.cgroups import pod_uid_of_process
from ballast.agent.node.holders import Holder

HELD_SECONDS: Final = 3.0
"""A driver samples processes now and then: so long the last it told is taken to hold."""
MOST_CACHED: Final = 4096


class PodsOfProcesses:
    """Tells the pod of a process, and remembers it as long as no pod comes or goes.

    Args:
        proc_root: the node's `/proc`.
    """

    def __init__(self, proc_root: Path = Path("/proc")) -> None:
        self._proc_root = proc_root
        self._pods: frozenset[str] = frozenset()
        self._cache: dict[int, str | None] = {}

    def follow(self, uids: Collection[str]) -> None:
        """Take in which pods there are."""
        if len(uids) != len(self._pods) or not self._pods.issuperset(uids):
            self._pods = frozenset(uids)
            self._cache.clear()

    def pod_of(self, pid: int) -> str | None:
        """Return the UID of a process's pod; None if it is no pod's of this node.

        Raises:
            ProcessLookupError: it has ended, and nobody knows any more.
        """
        if pid in self._cache:
            return self._cache[pid]
        uid = pod_uid_of_process(pid, self._proc_root)
        if len(self._cache) >= MOST_CACHED:
            self._cache.clear()
        self._cache[pid] = uid if uid in self._pods else None
        return self._cache[pid]


class GpuUsage:
    """How much the holders of one GPU use it.

    Args:
        device: the GPU.
    """

    def __init__(self, device: PowerDevice) -> None:
        self._device = device
        self._tells_usage = True
        self._tells_processes = True
        self._until = 0
        self._told_at = float("-inf")
        self._used: dict[tuple[str, str | None], float] = {}
        self._others = 0.0

    def refresh(self, now: float, holders: Sequence[Holder], processes: PodsOfProcesses) -> None:
        """Ask the driver, about once a second.

        Args:
            now: seconds on the steady clock.
            holders: of the GPU.
            processes: whose process is whose.
        """
        try:
            if self._tells_usage and holders[0].mig_device is None:
                try:
                    self._by_usage(now, {holder.pod_uid for holder in holders}, processes)
                except NotSupported:
                    self._tells_usage = False
                else:
                    return
            self._by_processes(now, holders, processes)
        except DriverGone:
            pass  # it is told when the GPU is read next
        except DeviceError:
            if now - self._told_at > HELD_SECONDS:
                self._used, self._others = {}, 0.0

    def of(self, holders: Sequence[Holder]) -> tuple[list[float], float]:
        """Return how much each holder used it, in their order, and how much others did."""
        return [self._used.get((holder.pod_uid, holder.mig_device), 0.0) for holder in holders], self._others

    def is_free(self, otherwise: bool) -> bool:
        """Return whether no process computes on it; `otherwise` if the driver does not tell."""
        if self._tells_processes:
            try:
                return not self._device.processes()
            except NotSupported:
                self._tells_processes = False
            except DeviceError:
                return False
        return otherwise

    def _by_usage(self, now: float, held_by: Collection[str], processes: PodsOfProcesses) -> None:
        told = self._device.usage_since(self._until)
        if not told:
            if now - self._told_at > HELD_SECONDS:
                self._used, self._others = {}, 0.0
            return
        self._told_at = now
        self._used, self._others = {}, 0.0
        for process in told:
            self._until = max(self._until, process.until_microseconds)
            try:
                uid = processes.pod_of(process.pid)
            except ProcessLookupError:
                continue
            if uid is not None and uid in held_by:
                self._used[uid, None] = self._used.get((uid, None), 0.0) + process.utilization
            else:
                self._others += process.utilization

    def _by_processes(self, now: float, holders: Sequence[Holder], processes: PodsOfProcesses) -> None:
        weights = {
            (holder.pod_uid, holder.mig_device): float(holder.slices) if holder.mig_device is not None else 1.0
            for holder in holders
        }
        found = self._device.processes() if self._tells_processes else ()
        self._told_at = now
        self._used, self._others = {}, 0.0
        for process in found:
            try:
                key = processes.pod_of(process.pid), process.mig_device
            except ProcessLookupError:
                continue
            if key[0] is not None and key in weights:
                self._used[key[0], key[1]] = weights[key[0], key[1]]
