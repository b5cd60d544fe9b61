"""What this machine is, and what the embedded cluster can therefore do on it.

A real node needs Linux namespaces and root; without them the cluster comes up with its control plane and simulated
nodes only. Invariant: nobody else in this package asks for the operating system or the user.
"""

from __future__ import annotations

import os
import platform
import re
import sys
from pathlib import Path

from tests.cluster.errors import ClusterError

#: What namespaces, mounts and routes take, and the bit of each in a capability set.
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_SYS_ADMIN": 21}

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}


def operating_system() -> str:
    """`linux` or `darwin`, as Go and the release pages name it."""
    if sys.platform.startswith("linux"):
        return "linux"
    if sys.platform == "darwin":
        return "darwin"
    raise ClusterError(
        f"the embedded cluster does not run on {sys.platform!r}", remedy="Use Linux, macOS, or WSL 2 on Windows"
    )


def architecture() -> str:
    """`amd64` or `arm64`, as Go and the release pages name it."""
    machine = platform.machine().lower()
    try:
        return _ARCHITECTURES[machine]
    except KeyError:
        known = ", ".join(sorted(set(_ARCHITECTURES.values())))
        raise ClusterError(f"the processor architecture {machine!r} is not supported (only {known})") from None


def why_no_real_node() -> str | None:
    """The reason why this machine cannot run a real node; None when it can."""
    if operating_system() != "linux":
        return "a real node needs Linux namespaces and cgroups"
    if os.geteuid() != 0:
        return "a real node needs root (network, mount and PID namespaces)"
    missing = _missing_capabilities(Path("/proc/self/status").read_text())
    if missing:
        return f"a real node needs {' and '.join(missing)} (in a container: run it privileged)"
    return None


def _missing_capabilities(process_status: str) -> list[str]:
    """The capabilities that a real node needs and that this process has not, as its `/proc` status tells."""
    found = re.search(r"^CapEff:\s*([0-9a-f]+)$", process_status, re.MULTILINE)
    effective = int(found.group(1), 16) if found else 0
    return [name for name, bit in _CAPABILITIES.items() if not effective >> bit & 1]
