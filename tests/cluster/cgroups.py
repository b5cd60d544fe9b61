"""The control groups of a real node, on cgroup v1 and v2.

A kubelet needs its own root group, with every controller it manages. Invariants: only groups with the node's name are
made or removed; on v2, controllers are switched on for the root's children where they are not yet (never off).
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

from tests.cluster.errors import ClusterError

CGROUP_ROOT = Path("/sys/fs/cgroup")

#: What a kubelet wants of a v2 hierarchy, as far as the kernel has it.
_V2_CONTROLLERS = ("cpu", "cpuset", "memory", "hugetlb", "pids", "io")


def is_v2(root: Path = CGROUP_ROOT) -> bool:
    """Tells whether the unified hierarchy is mounted."""
    return (root / "cgroup.controllers").is_file()


def hierarchies(root: Path = CGROUP_ROOT) -> list[Path]:
    """The folders in which a group has to be made: one on v2, one per mounted controller on v1."""
    if is_v2(root):
        return [root]
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.is_symlink())


def create(name: str, root: Path = CGROUP_ROOT) -> None:
    """Makes a node's root group in every hierarchy, empty of what a killed run left there."""
    remove(name, root)
    if is_v2(root):
        available = set((root / "cgroup.controllers").read_text().split())
        control = root / "cgroup.subtree_control"
        enabled = set(control.read_text().split())
        for controller in _V2_CONTROLLERS:
            if controller in available - enabled:
                # One at a time: a single refusal would refuse them all.
                _write(control, f"+{controller}")
        (root / name).mkdir()
        return
    for hierarchy in hierarchies(root):
        group = hierarchy / name
        try:
            group.mkdir(exist_ok=True)
        except OSError:  # a hierarchy that takes no groups, such as a read-only one
            continue
        for file in ("cpuset.mems", "cpuset.cpus"):  # empty in a new v1 group, and then nothing can run in it
            if (group / file).exists():
                _write(group / file, (hierarchy / file).read_text().strip())


def remove(name: str, root: Path = CGROUP_ROOT, *, timeout_seconds: float = 60.0) -> None:
    """Removes a node's groups; its processes must have ended.

    Raises:
        ClusterError: A group stays busy.
    """
    deadline = time.monotonic() + timeout_seconds
    for hierarchy in hierarchies(root):
        while (hierarchy / name).is_dir():
            try:
                for folder, _, _ in os.walk(hierarchy / name, topdown=False):
                    Path(folder).rmdir()
            except FileNotFoundError:
                continue
            except OSError as error:  # the last process of a group is still being reaped
                if time.monotonic() > deadline:
                    raise ClusterError(f"the control group {hierarchy / name} cannot be removed: {error}") from error
                time.sleep(0.05)


def existing(pattern: str, root: Path = CGROUP_ROOT) -> list[Path]:
    """The top groups whose whole name matches a regular expression."""
    groups = (group for hierarchy in hierarchies(root) for group in hierarchy.iterdir() if group.is_dir())
    return sorted(group for group in groups if re.fullmatch(pattern, group.name))


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text)
    except OSError:
        return
