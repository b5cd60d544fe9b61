"""The network of a cluster's real nodes.

A bridge in a network namespace of its own (the switch) joins the host and the nodes; each node is a network namespace
with one leg on it. Nodes route each other's pod ranges, and so does the host, so that Prometheus reaches pods and pods
reach the API server. The bridge is not on the host because a host with a container engine filters what crosses its
bridges.

Invariants: on the host there is one network interface and one route per node, no iptables rule and no changed setting;
every step can be repeated; removing the namespaces and the interface removes it all.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import re
from dataclasses import dataclass
from pathlib import Path

from tests.cluster.commands import run
from tests.cluster.debian_packages import find_command
from tests.cluster.errors import CommandError
from tests.cluster.state import pod_network, transit_network

BRIDGE = "br0"
NODE_INTERFACE = "eth0"
MAXIMUM_NODES = 15


def networks_in_use() -> list[ipaddress.IPv4Network]:
    """The IPv4 networks that the host has addresses in or routes to, the default route aside."""
    networks = []
    for route in json.loads(_ip("-4", "-json", "route", "show", "table", "all") or "[]"):
        destination = route.get("dst", "default")
        if destination != "default":
            networks.append(ipaddress.IPv4Network(destination, strict=False))
    return networks


@dataclass(frozen=True)
class Network:
    """The network of one cluster.

    Attributes:
        cluster: The cluster's name, with which its namespaces' names begin.
        block: The cluster's address block.
    """

    cluster: str
    block: int

    @property
    def host_interface(self) -> str:
        """The host's leg on the switch."""
        return f"ballast{self.block}"

    @property
    def host_address(self) -> str:
        """The host's address on the nodes' network."""
        return str(transit_network(self.block)[1])

    @property
    def switch(self) -> str:
        """The network namespace of the bridge."""
        return f"{self.cluster}-switch"

    def node_namespace(self, number: int) -> str:
        """The network namespace of a node."""
        return f"{self.cluster}-node{number}"

    def node_address(self, number: int) -> str:
        """A node's address."""
        return str(transit_network(self.block)[10 + number])

    def pod_range(self, number: int) -> str:
        """The addresses of a node's pods."""
        return str(list(pod_network(self.block).subnets(new_prefix=24))[number])

    @property
    def pod_network(self) -> str:
        """The addresses of all pods on real nodes."""
        return str(pod_network(self.block))

    def ensure_switch(self) -> bool:
        """Makes the bridge and the host's leg on it, as far as they do not exist.

        Returns:
            Whether the bridge is new, so that nodes that still run have lost their legs on it.
        """
        self._ensure_namespace(self.switch)
        new = not _link_exists(BRIDGE, self.switch)
        if new:
            _ip("-n", self.switch, "link", "add", BRIDGE, "type", "bridge")
        _ip("-n", self.switch, "link", "set", BRIDGE, "up")
        self._ensure_pair(self.host_interface, "", "host")
        prefix = transit_network(self.block).prefixlen
        _ip("address", "replace", f"{self.host_address}/{prefix}", "dev", self.host_interface)
        _ip("link", "set", self.host_interface, "up")
        return new

    def ensure_node(self, number: int, others: list[int]) -> None:
        """Makes a node's namespace, its leg on the switch and the routes to and from it.

        Args:
            number: The node's number, from 1.
            others: The numbers of the other nodes, which need routes to this one.
        """
        namespace, leg = self.node_namespace(number), f"node{number}"
        self._ensure_namespace(namespace)
        self._ensure_pair(NODE_INTERFACE, namespace, leg)
        prefix = transit_network(self.block).prefixlen
        _ip("-n", namespace, "address", "replace", f"{self.node_address(number)}/{prefix}", "dev", NODE_INTERFACE)
        _ip("-n", namespace, "link", "set", NODE_INTERFACE, "up")
        _ip("-n", namespace, "route", "replace", "default", "via", self.host_address)
        _ip("route", "replace", self.pod_range(number), "via", self.node_address(number), "dev", self.host_interface)
        for other in others:
            if other != number:
                self._route_between(number, other)
                self._route_between(other, number)

    def _ensure_pair(self, interface: str, namespace: str, leg: str) -> None:
        """Makes a pair of interfaces: one in a namespace (the host's where that is empty), its leg on the bridge."""
        where = ["-n", namespace] if namespace else []
        if not (_link_exists(interface, namespace) and _link_exists(leg, self.switch)):
            # Half a pair is what is left for a moment when the other half's namespace goes.
            for half_where, half in ((where, interface), (["-n", self.switch], leg)):
                with contextlib.suppress(CommandError):
                    _ip(*half_where, "link", "delete", half)
            _ip(*where, "link", "add", interface, "type", "veth", "peer", "name", leg, "netns", self.switch)
        _ip("-n", self.switch, "link", "set", leg, "master", BRIDGE, "up")

    def _route_between(self, source: int, target: int) -> None:
        namespace = self.node_namespace(source)
        if (_namespace_folder() / namespace).exists():
            _ip("-n", namespace, "route", "replace", self.pod_range(target), "via", self.node_address(target))

    def _ensure_namespace(self, name: str) -> None:
        try:
            _ip("-n", name, "link", "set", "lo", "up")
        except CommandError:
            # Absent, or a file without a namespace behind it, as a crash in between leaves.
            (_namespace_folder() / name).unlink(missing_ok=True)
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")


def _link_exists(link: str, namespace: str = "") -> bool:
    where = ["-n", namespace] if namespace else []
    try:
        _ip(*where, "link", "show", "dev", link)
    except CommandError:
        return False
    return True


def remove_networks(cluster: str, block: int | None) -> None:
    """Removes everything on the host that belongs to a cluster's network, whatever there is of it.

    Args:
        cluster: The cluster's name.
        block: Its address block; where it is not known any more, the interface goes with the switch's namespace.
    """
    # The interface first: a namespace is taken down in the background, and its end of the pair at some moment then.
    if block is not None:
        interface = Network(cluster, block).host_interface
        try:
            _ip("link", "delete", interface)
        except CommandError:
            if _link_exists(interface):
                raise
    pattern = re.compile(re.escape(cluster) + r"-(switch|node\d+)")
    if _namespace_folder().is_dir():
        for path in sorted(_namespace_folder().iterdir()):
            if pattern.fullmatch(path.name):
                _delete_namespace(path)


def _delete_namespace(path: Path) -> None:
    try:
        _ip("netns", "delete", path.name)
    except CommandError:
        # A file without a namespace behind it, as a crash in between leaves.
        path.unlink(missing_ok=True)


def namespace_path(name: str) -> Path:
    """The file by which a network namespace is entered."""
    return _namespace_folder() / name


def _namespace_folder() -> Path:
    return Path("/run/netns")


def _ip(*arguments: str) -> str:
    return run([find_command("ip") or "ip", *arguments], timeout_seconds=60)
