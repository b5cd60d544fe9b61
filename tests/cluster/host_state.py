"""What a host looks like from outside: taken before and after, it shows what was left behind.

Compared are processes, mounts, network interfaces, network namespaces, iptables rules, control groups, the clusters'
state folders, and the kernel settings that a kubelet would change. A machine is shared: processes count only if they
carry a cluster's mark, and what belongs to a cluster that was there before, or that another checkout has brought up
since, does not count. Invariant: taking a snapshot changes nothing.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import cgroups
from tests.cluster import state as cluster_state
from tests.cluster.commands import run
from tests.cluster.debian_packages import find_command
from tests.cluster.network import Network
from tests.cluster.paths import clusters_dir
from tests.cluster.processes import MARK

_SETTINGS = (
    "kernel/keys/root_maxbytes",
    "kernel/keys/root_maxkeys",
    "kernel/panic",
    "kernel/panic_on_oops",
    "net/ipv4/conf/all/forwarding",
    "net/ipv4/ip_forward",
    "vm/overcommit_memory",
    "vm/panic_on_oom",
)


@dataclass(frozen=True)
class HostState:
    """One look at the host.

    Attributes:
        parts: The things of each kind, each as one line of text.
        not_counted: Clusters whose things are left out.
    """

    parts: Mapping[str, frozenset[str]]
    not_counted: frozenset[str] = frozenset()

    @classmethod
    def capture(cls, *, except_clusters: frozenset[str] = frozenset()) -> HostState:
        """Looks at the host.

        Args:
            except_clusters: Clusters whose things are not counted.
        """
        folders = {str(clusters_dir() / name) for name in except_clusters}
        links = {link for name in except_clusters for link in _links_of(name)}
        names = "|".join(re.escape(name) for name in except_clusters) or r"(?!)"
        foreign = re.compile(rf".*/({names})/.*|(.*/)?({names})(-switch|-node\d+|-real-\d+)?")
        return cls(
            {
                "processes": frozenset(line for line, folder in _processes() if folder not in folders),
                "mounts": frozenset(mount for mount in _mounts() if not foreign.fullmatch(mount.split()[0])),
                "links": frozenset(link for link in _links() if link not in links),
                "network namespaces": frozenset(name for name in _namespaces() if not foreign.fullmatch(name)),
                "iptables": frozenset(_numbered(iptables_rules())),
                "control groups": frozenset(group for group in _groups() if not foreign.fullmatch(group)),
                "state": frozenset(name for name in _state_names() if not foreign.fullmatch(name)),
                "settings": frozenset(_settings()),
            },
            except_clusters,
        )

    def changes_since(self, before: HostState) -> dict[str, list[str]]:
        """What is here and was not before (`+`), and the other way round (`-`); empty when nothing changed."""
        changes = {}
        for kind, now in self.parts.items():
            then = before.parts[kind]
            lines = [f"+ {line}" for line in sorted(now - then)] + [f"- {line}" for line in sorted(then - now)]
            if lines:
                changes[kind] = lines
        return changes

    def left_behind(self, *mine: str, timeout_seconds: float = 20.0) -> dict[str, list[str]]:
        """What differs from this earlier look, once others' clusters that come and go are left out.

        A cluster of another checkout that is just being made or removed shows for a moment before its state does, so
        a difference counts only if it lasts.

        Args:
            mine: The clusters that are to be gone.
            timeout_seconds: How long a difference must last.

        Returns:
            As `changes_since`.
        """
        deadline = time.monotonic() + timeout_seconds
        while True:
            now = HostState.capture(except_clusters=self.not_counted | other_clusters(*mine))
            changes = now.changes_since(self)
            if not changes or time.monotonic() > deadline:
                return changes
            time.sleep(0.5)


def other_clusters(*mine: str) -> frozenset[str]:
    """The clusters of this cache that exist at present, but for some."""
    folder = clusters_dir()
    found = {path.name for path in folder.iterdir() if path.is_dir()} if folder.is_dir() else set()
    return frozenset(found - set(mine))


def iptables_rules() -> str:
    """The host's rules as `iptables-save` prints them, without its comments (a date) and packet counters."""
    command = find_command("iptables-save")
    if command is None or os.geteuid() != 0:
        return ""
    lines = (line for line in run([command]).splitlines() if not line.startswith("#"))
    return "\n".join(re.sub(r"\[\d+:\d+\]", "[0:0]", line) for line in lines)


def _processes() -> list[tuple[str, str]]:
    """Marked processes that run: a line that tells which, and the state folder in the mark."""
    found = []
    prefix = f"{MARK}=".encode()
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        try:
            environment = (folder / "environ").read_bytes().split(b"\0")
            marks = [entry.removeprefix(prefix).decode() for entry in environment if entry.startswith(prefix)]
            command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
        if marks and command:
            found.append((f"{folder.name} {command[:200]}", marks[0]))
    return found


def _mounts() -> list[str]:
    lines = Path("/proc/self/mountinfo").read_text().splitlines()
    return [f"{fields[4]} {line.partition(' - ')[2]}" for line in lines if (fields := line.split())]


def _links() -> list[str]:
    ip = find_command("ip")
    if ip is None:
        return []
    return [link["ifname"] for link in json.loads(run([ip, "-json", "link", "show"]))]


def _links_of(cluster: str) -> list[str]:
    state = cluster_state.load(clusters_dir() / cluster)
    return [Network(cluster, state.block).host_interface] if state is not None else []


def _namespaces() -> list[str]:
    folder = Path("/run/netns")
    return [path.name for path in folder.iterdir()] if folder.is_dir() else []


def _numbered(text: str) -> list[str]:
    return [f"{number}: {line}" for number, line in enumerate(text.splitlines())]


def _groups() -> list[str]:
    return [str(group) for group in cgroups.existing(".*")]


def _state_names() -> list[str]:
    folder = clusters_dir()
    return [path.name for path in folder.iterdir() if not path.name.startswith(".")] if folder.is_dir() else []


def _settings() -> list[str]:
    paths = ((name, Path("/proc/sys") / name) for name in _SETTINGS)
    return [f"{name} = {path.read_text().strip()}" for name, path in paths if path.exists()]
