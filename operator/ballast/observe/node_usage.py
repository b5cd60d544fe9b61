"""How much of every node is taken: by pods that are bound to it, and by gangs that are about to be.

Incremental: a pod or a reservation that changes touches its own nodes only, and only those are built anew for the
next snapshot. What must hold: `free` is allocatable less *every* bound pod that has not ended, Ballast's or not,
less the reservations of gangs whose pods are not bound yet.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ballast.decide.model.prediction import GpuRange
from ballast.decide.node import Node
from ballast.decide.resources import GPU, Resources, add, subtract
from ballast.observe.node_marks import labels_of, mark_of
from ballast.observe.parsing import node_gpu_model, node_is_ready, node_mixes_gpus, node_taints, resources


class NodeUsage:
    """The nodes and what is taken of them."""

    def __init__(self) -> None:
        self._objects: dict[str, Node] = {}
        self._boards: dict[str, GpuRange] = {}
        self._taken: dict[str, Resources] = defaultdict(dict)
        self._claims: dict[str, Mapping[str, Resources]] = {}
        self._stale: set[str] = set()
        self._touched: set[str] = set()
        self._nodes: tuple[Node, ...] = ()
        self.gpus = 0
        """Of all nodes together, taken or not."""
        self.gains = 0
        """Counts the moments at which something became free or a node changed: before the next one, a gang that did
        not fit still does not."""

    def put_node(self, node: Mapping[str, Any]) -> bool:
        """Add or update a node; return whether that changes anything."""
        metadata = node["metadata"]
        allocatable = resources((node.get("status") or {}).get("allocatable"))
        new = Node(
            name=metadata["name"],
            ready=node_is_ready(node),
            cordoned=bool((node.get("spec") or {}).get("unschedulable")),
            labels=labels_of(node),
            taints=node_taints(node),
            gpu_model=node_gpu_model(node),
            mixes_gpus=node_mixes_gpus(node),
            allocatable=allocatable,
            free=allocatable,
            board=self._boards.get(metadata["name"]),
            uid=metadata["uid"],
            mark=mark_of(node),
        )
        before = self._objects.get(new.name)
        if before == new:  # most updates are heartbeats
            return False
        self._objects[new.name] = new
        self.gpus += _gpus(new) - _gpus(before)
        self._stale.add(new.name)
        self._touched.add(new.name)
        if before is None or replace(before, mark=new.mark) != new:  # a mark makes no room
            self.gains += 1
        return True

    def put_board(self, name: str, board: GpuRange | None) -> None:
        """Set what the agent of a node tells of its boards; None if it does not."""
        if board == self._boards.get(name):
            return
        if board is None:
            del self._boards[name]
        else:
            self._boards[name] = board
        if name in self._objects:
            self._objects[name] = replace(self._objects[name], board=board)
            self._stale.add(name)
            self.gains += 1

    def remove_node(self, name: str) -> None:
        """Forget a node; what pods still claim of it is kept, in case it comes back."""
        old = self._objects.pop(name, None)
        if old is not None:
            self.gpus -= _gpus(old)
            self._stale.add(name)
            self._touched.add(name)
            self.gains += 1  # nothing is free now that was not, but why a gang does not fit may be another reason

    def claim(self, owner: str, claims: Mapping[str, Resources]) -> None:
        """Set what `owner` (a pod's or a job's UID) takes of each node, in place of what it took before."""
        before = self._claims.get(owner, {})
        if before == claims:
            return
        if not _covers(claims, before):
            self.gains += 1
        for node, amounts in before.items():
            self._taken[node] = subtract(self._taken[node], amounts)
            self._stale.add(node)
        for node, amounts in claims.items():
            self._taken[node] = add(self._taken[node], amounts)
            self._stale.add(node)
        if claims:
            self._claims[owner] = claims
        else:
            self._claims.pop(owner, None)
        self._touched.update(before, claims)

    def take_touched(self) -> set[str]:
        """Return the nodes that changed, or of which something else is taken, since this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def node(self, name: str) -> Node | None:
        """Return a node with what is free of it; None if there is none of that name."""
        return self._free(self._objects[name]) if name in self._objects else None

    def nodes(self) -> tuple[Node, ...]:
        """Return every node with what is free of it, sorted by name."""
        if self._stale:
            built = {node.name: node for node in self._nodes}
            for name in self._stale:
                built.pop(name, None)
                if name in self._objects:
                    built[name] = self._free(self._objects[name])
            self._nodes = tuple(built[name] for name in sorted(built))
            self._stale.clear()
        return self._nodes

    def _free(self, node: Node) -> Node:
        taken = self._taken.get(node.name)
        if not taken:
            return node
        return replace(node, free=subtract(node.allocatable, taken))


def _gpus(node: Node | None) -> int:
    return node.allocatable.get(GPU, 0) if node is not None else 0


def _covers(more: Mapping[str, Resources], less: Mapping[str, Resources]) -> bool:
    """Return whether `more` takes at least as much of every node as `less`."""
    return all(
        more.get(node, {}).get(name, 0) >= amount for node, amounts in less.items() for name, amount in amounts.items()
    )
