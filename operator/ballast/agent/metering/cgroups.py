"""CPU time by pod, and pods by process, from the control groups in which the kubelet keeps pods (versions 1 and 2).

Either of the kubelet's drivers names a pod's group by the pod's UID: `pod<uid>` (cgroupfs), or
`…-pod<uid with _ for ->.slice` (systemd); where the groups hang depends on the kubelet's settings, so that they are
searched for, by name. What must hold: the tree is searched only when pods come, and a reading costs one system call for
each pod: files stay open until their group is gone.

The UID here is the one by which the *kubelet* knows a pod: of a static pod it is the hash in the annotation
`kubernetes.io/config.hash`, and not the UID of the pod's object in the API.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path

SEARCH_SECONDS = 5.0
"""Shortest time between two searches of the whole tree, for pods that were not where others are."""
DEEPEST = 12

# A UID has 36 characters, a static pod's 32; a group called `pods` or `podman` is none.
_POD = re.compile(r"(?:pod(?P<plain>[^/]{30,64})|.*-pod(?P<escaped>[^/-]{30,64})\.slice)")
_READ_BYTES = 256
_BUSY = (1, 2, 3, 6, 7)
"""Of the first line of `/proc/stat`: user, nice, system, irq and softirq; user and nice hold guests' time."""


def pod_uid_of(group: str) -> str | None:
    """Return the UID of the pod whose group a path, as in `/proc/<pid>/cgroup`, is or lies in; None if none."""
    for name in group.split("/"):
        uid = _uid(name)
        if uid is not None:
            return uid
    return None


def pod_uid_of_process(pid: int, proc_root: Path = Path("/proc")) -> str | None:
    """Return the UID of the pod that a process belongs to; None if it is no pod's.

    Raises:
        ProcessLookupError: there is no such process any more.
    """
    try:
        lines = (proc_root / str(pid) / "cgroup").read_text().splitlines()
    except OSError as error:
        raise ProcessLookupError(f"process {pid} has no {proc_root}/{pid}/cgroup: {error.strerror}") from error
    for line in lines:
        uid = pod_uid_of(line.split(":", 2)[-1])
        if uid is not None:
            return uid
    return None


def _uid(name: str) -> str | None:
    if "pod" not in name:  # nearly always: cheaper than the expression
        return None
    match = _POD.fullmatch(name)
    if match is None:
        return None
    if match["plain"] is not None:
        return match["plain"]
    return match["escaped"].replace("_", "-")


class NodeCpuTime:
    """The CPU time of everything that runs on the node; close it when done.

    Args:
        proc_root: the node's `/proc`.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, proc_root: Path = Path("/proc")) -> None:
        self._descriptor = os.open(proc_root / "stat", os.O_RDONLY | os.O_CLOEXEC)
        self._ticks_per_second = os.sysconf("SC_CLK_TCK")

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def busy_seconds(self) -> float:
        """Return for how long all CPUs together were busy since the machine started."""
        fields = os.pread(self._descriptor, _READ_BYTES, 0).split(None, 8)
        return sum(int(fields[index]) for index in _BUSY) / self._ticks_per_second


class PodCpuTime:
    """The CPU time of pods; close it when done.

    Args:
        root: where control groups are mounted.
    """

    def __init__(self, root: Path = Path("/sys/fs/cgroup")) -> None:
        if (root / "cgroup.controllers").exists():
            self._hierarchy, self._file = root, "cpu.stat"
        else:
            folders = [root / name for name in ("cpuacct", "cpu,cpuacct", "cpuacct,cpu")]
            self._hierarchy = next((folder for folder in folders if folder.is_dir()), root)
            self._file = "cpuacct.usage"
        self._open: dict[str, int] = {}
        self._missing: frozenset[str] = frozenset()
        self._parents: dict[str, None] = {}
        self._searched_at = float("-inf")

    def close(self) -> None:
        """Let go of all groups."""
        for descriptor in self._open.values():
            os.close(descriptor)
        self._open.clear()

    def follow(self, uids: Collection[str], now: float) -> None:
        """Find the groups of new pods, and let go of the others'.

        Cheap where nothing is new. Pods whose groups are not there yet are searched for again at later calls.

        Args:
            uids: of the node's pods, as the kubelet knows them.
            now: seconds on any steady clock.
        """
        for uid in [uid for uid in self._open if uid not in uids]:
            os.close(self._open.pop(uid))
        missing = frozenset(uid for uid in uids if uid not in self._open)
        if not missing:
            self._missing = missing
            return
        still = {uid for uid in missing if not self._find_beside_others(uid)}
        # At once for pods that have just come, and from time to time for those that are late.
        if still and (not still <= self._missing or now - self._searched_at >= SEARCH_SECONDS):
            self._searched_at = now
            self._search(still)
        self._missing = frozenset(still)

    def seconds(self, uid: str) -> float | None:
        """Return the CPU time that a pod has used since it began, its ended containers included.

        Returns:
            None if its group is not known, or gone.
        """
        descriptor = self._open.get(uid)
        if descriptor is None:
            return None
        try:
            text = os.pread(descriptor, _READ_BYTES, 0)
            if self._file == "cpu.stat":
                return int(text.split(None, 2)[1]) / 1e6  # its first line is usage_usec
            return int(text) / 1e9
        except (OSError, ValueError, IndexError):  # ENODEV: the group is gone
            os.close(self._open.pop(uid))
            return None

    def _find_beside_others(self, uid: str) -> bool:
        escaped = uid.replace("-", "_")
        for parent in self._parents:
            slice_of = os.path.basename(parent).removesuffix(".slice")  # noqa: PTH119 - many a second, no objects
            for name in (f"pod{uid}", f"{slice_of}-pod{escaped}.slice"):
                if self._take(uid, f"{parent}/{name}"):
                    return True
        return False

    def _search(self, wanted: set[str]) -> None:
        for path, uid in _pods_below(str(self._hierarchy), DEEPEST):
            self._parents[os.path.dirname(path)] = None  # noqa: PTH120
            if uid in wanted and self._take(uid, path):
                wanted.discard(uid)

    def _take(self, uid: str, path: str) -> bool:
        try:
            self._open[uid] = os.open(f"{path}/{self._file}", os.O_RDONLY | os.O_CLOEXEC)
        except OSError:
            return False
        return True


def _pods_below(folder: str, depth: int) -> Iterator[tuple[str, str]]:
    """Yield (path, UID) of the pods' groups below a folder; it does not look into them."""
    try:
        with os.scandir(folder) as entries:
            folders = [entry.path for entry in entries if entry.is_dir(follow_symlinks=False)]
    except OSError:
        return  # it has just gone
    for path in folders:
        uid = _uid(path.rsplit("/", 1)[-1])
        if uid is not None:
            yield path, uid
        elif depth > 0:
            yield from _pods_below(path, depth - 1)
