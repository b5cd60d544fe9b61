"""What is remembered about a cluster between commands: one small JSON file in its state folder, and its lock.

The file holds what must not be chosen twice (the address block, the ports, where the programs are) and which steps were
completed; whether anything runs is always asked of the machine. Invariant: the file is replaced whole, under the
cluster's lock, so that a killed command leaves the old or the new one.
"""

from __future__ import annotations

import fcntl
import ipaddress
import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from tests.cluster.errors import ClusterError
from tests.cluster.progress import say
from tests.cluster.real_gpus import RealGpus

STATE_FILE = "state.json"
BLOCKS = 256
FIRST_PORT = 21000
PORTS_PER_BLOCK = 20

PORT_NAMES = (
    "kube-apiserver",
    "etcd",
    "etcd-peer",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
    "prometheus",
)


@dataclass(frozen=True)
class ClusterState:
    """What is remembered about a cluster.

    Attributes:
        name: The cluster's name.
        block: Number of its address block, unique among the machine's clusters.
        ports: Port on the host by component.
        binaries: Path by program name.
        control_plane_created: kwokctl has written the control plane's configuration completely.
        networked: The machine can run real nodes, and the control plane is reachable from them.
        real_nodes: How many real nodes without GPUs there are to be.
        gpu_nodes: The real nodes with simulated GPUs that there are to be.
    """

    name: str
    block: int
    ports: dict[str, int]
    binaries: dict[str, str] = field(default_factory=dict)
    control_plane_created: bool = False
    networked: bool = False
    real_nodes: int = 0
    gpu_nodes: tuple[RealGpus, ...] = ()

    def with_changes(self, **changes: Any) -> ClusterState:
        """A copy with some fields replaced."""
        return replace(self, **changes)


def load(folder: Path) -> ClusterState | None:
    """Reads a cluster's state; None where there is none, or where it cannot be read (it is then made anew)."""
    try:
        return parse((folder / STATE_FILE).read_text())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ClusterError as error:
        say(f"{folder / STATE_FILE} is not used: {error}")
        return None


def parse(text: str) -> ClusterState:
    """Parses a state file.

    Raises:
        ClusterError: It is not one, or is one of another version of this package.
    """
    try:
        fields = json.loads(text)
        gpu_nodes = tuple(RealGpus.parse(node) for node in fields.pop("gpu_nodes", ()))
        state = ClusterState(**fields, gpu_nodes=gpu_nodes)
        ports = set(state.ports)
        valid = isinstance(state.block, int) and 0 <= state.block < BLOCKS and set(PORT_NAMES) <= ports
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ClusterError(f"not a cluster's state: {error}") from error
    if not valid:
        raise ClusterError(f"not a cluster's state: block {state.block!r}, ports {sorted(ports)}")
    return state


def save(folder: Path, state: ClusterState) -> None:
    """Writes a cluster's state, replacing the file whole."""
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / (STATE_FILE + ".part")
    part.write_text(json.dumps(asdict(state), indent=2, sort_keys=True) + "\n")
    part.rename(folder / STATE_FILE)


def allocate(folder: Path, name: str, *, networked: bool, networks_in_use: list[ipaddress.IPv4Network]) -> ClusterState:
    """Chooses an address block and ports that no other cluster of this machine uses, and saves them.

    Args:
        folder: The new cluster's state folder, beside those of the other clusters.
        name: The new cluster's name.
        networked: Whether the machine can run real nodes.
        networks_in_use: Networks that the host already routes or has addresses in.

    Raises:
        ClusterError: All blocks are taken.
    """
    clusters = folder.parent
    clusters.mkdir(parents=True, exist_ok=True)
    with (clusters / ".blocks.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        taken = {
            other.block
            for other_folder in clusters.iterdir()
            if other_folder != folder and (other := load(other_folder)) is not None
        }
        block = free_block(taken, networks_in_use)
        state = ClusterState(name=name, block=block, ports=_free_ports(block), networked=networked)
        save(folder, state)
        return state


def free_block(taken: set[int], networks_in_use: list[ipaddress.IPv4Network]) -> int:
    """The first address block that is neither another cluster's nor in use on the host.

    Raises:
        ClusterError: There is none.
    """
    for block in range(BLOCKS):
        mine = (transit_network(block), pod_network(block))
        if block not in taken and not any(one.overlaps(other) for one in mine for other in networks_in_use):
            return block
    raise ClusterError(
        f"all {BLOCKS} address blocks for embedded clusters are taken",
        remedy="Remove clusters with `python -m tests.cluster down`",
    )


def transit_network(block: int) -> ipaddress.IPv4Network:
    """The network on which the host (.1) and the real nodes (.11, .12, ...) of a block meet."""
    return ipaddress.IPv4Network(f"10.201.{block}.0/24")


def pod_network(block: int) -> ipaddress.IPv4Network:
    """The pod addresses of a block: a /20, of which each real node has a /24."""
    return ipaddress.IPv4Network((int(ipaddress.IPv4Address("10.208.0.0")) + (block << 12), 20))


def _free_ports(block: int) -> dict[str, int]:
    """A port for each component: from the block's own range where free, else any free one."""
    ports = {}
    candidates = iter(range(FIRST_PORT + block * PORTS_PER_BLOCK, FIRST_PORT + (block + 1) * PORTS_PER_BLOCK))
    for name in PORT_NAMES:
        ports[name] = next((port for port in candidates if _is_free(port)), 0) or _any_free_port()
    return ports


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # closed connections do not count
        try:
            probe.bind(("0.0.0.0", port))  # noqa: S104 - asks, and closes again
        except OSError:
            return False
        return True


def _any_free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Holds a cluster's lock: one command at a time changes it. The kernel frees it when its holder dies."""
    path = folder.with_name(f".{folder.name}.lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    told = False
    while True:
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if not told:
                    say(f"waiting for another command on cluster {folder.name} to end ...")
                    told = True
                fcntl.flock(file, fcntl.LOCK_EX)
            # `down` removes the lock file too: what was locked must still be what others would open.
            if _same_file(file.fileno(), path):
                yield
                return


def remove_lock(folder: Path) -> None:
    """Removes a cluster's lock file; its holder calls this last."""
    folder.with_name(f".{folder.name}.lock").unlink(missing_ok=True)


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        here = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    held = os.fstat(descriptor)
    return (held.st_dev, held.st_ino) == (here.st_dev, here.st_ino)
