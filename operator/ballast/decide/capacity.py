"""What is still free while one cycle places gangs: the snapshot's nodes less what this cycle has given away.

The snapshot is frozen; a cycle that admits several gangs keeps its own reservations here, so that no two of
them are promised the same GPU. Lanes have the same few constraints and pod sizes in common: what follows from those
alone is computed once a cycle, so that hundreds of lanes on hundreds of nodes are decided in milliseconds.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Container, Hashable, Iterable, Mapping
from dataclasses import dataclass, field

from ballast.decide.eligibility import ineligible_because
from ballast.decide.gang_request import GangRequest, PodSize
from ballast.decide.gpu_models import GpuModel
from ballast.decide.node import Node
from ballast.decide.resources import GPU, Resources, copies_that_fit, subtract


@dataclass(slots=True)
class Eligible:
    """The nodes that a gang's constraints leave to it.

    Attributes:
        excluded: how many nodes are out, by the reason.
        by_model: those of `nodes` that offer GPUs.
    """

    nodes: list[Node] = field(default_factory=list)
    excluded: Counter[str] = field(default_factory=Counter)
    by_model: dict[GpuModel, list[Node]] = field(default_factory=dict)

    def without(self, names: Container[str]) -> Eligible:
        """Return what is left when some nodes are avoided."""
        nodes = [node for node in self.nodes if node.name not in names]
        by_model = {
            model: kept
            for model, members in self.by_model.items()
            if (kept := [node for node in members if node.name not in names])
        }
        return Eligible(nodes, self.excluded, by_model)


class Capacity:
    """Free resources of every node within one cycle."""

    def __init__(self, nodes: Iterable[Node]) -> None:
        self.nodes = tuple(nodes)
        self._reserved: dict[str, Resources] = {}
        self._eligible: dict[Hashable, Eligible] = {}
        self._copies: dict[PodSize, dict[str, int]] = {}
        self._copies_when_empty: dict[PodSize, dict[str, int]] = {}
        self._phrases: dict[Hashable, str] = {}
        self._open: dict[PodSize, dict[str, int]] = {}  # the same, less what is held
        self._held: frozenset[str] = frozenset()
        self._clear_at = math.inf
        self.held_because = ""
        """Why some nodes are held, in a few words; empty if none are."""

    @property
    def held(self) -> frozenset[str]:
        """The names of the nodes of which nobody else gets anything."""
        return self._held

    def free(self, node: Node) -> Resources:
        """Return what is free on the node, after this cycle's reservations."""
        return self._reserved.get(node.name, node.free)

    def free_gpus(self, nodes: Iterable[Node]) -> dict[str, int]:
        """Return how many GPUs of some nodes are free, by their names: none of those that are held for somebody."""
        return {node.name: max(self.free(node).get(GPU, 0), 0) if node.name not in self._held else 0 for node in nodes}

    def in_use(self, node: Node) -> bool:
        """Return whether some GPU of the node is taken or promised, so that the node is switched on anyway."""
        return self.free(node).get(GPU, 0) < node.allocatable.get(GPU, 0)

    def reserve(self, node: Node, request: Resources) -> None:
        """Take `request` from the node for the rest of the cycle."""
        free = self._reserved[node.name] = subtract(self.free(node), request)
        for size, copies in self._copies.items():
            copies[node.name] = copies_that_fit(dict(size), free)
        self._open.clear()
        self._phrases.clear()

    def hold(self, nodes: Iterable[str], because: str, clear_at: float = math.inf) -> None:
        """Let nobody else have anything of these nodes, beside those held before, who is not done by some time.

        Args:
            nodes: Their names.
            because: Why, in a few words.
            clear_at: When they are needed, seconds since the epoch; infinite if nobody knows, so that nobody is done by
                then.
        """
        names = frozenset(nodes)
        if not names:
            return
        # Who comes onto a node that is held for one must not be in the way of another, either.
        self._clear_at = clear_at if not self._held else math.inf
        self._held |= names
        self.held_because = "; ".join(why for why in (self.held_because, because) if why)
        self._open.clear()
        self._phrases.clear()

    def eligible(self, gang: GangRequest) -> Eligible:
        """Return the nodes on which the gang may run at all."""
        found = self._eligible.get(gang.constraints)
        if found is None:
            found = self._eligible[gang.constraints] = Eligible()
            for node in self.nodes:
                because = ineligible_because(gang, node)
                if because is not None:
                    found.excluded[because] += 1
                    continue
                found.nodes.append(node)
                if node.gpu_model is not None:
                    found.by_model.setdefault(node.gpu_model, []).append(node)
        return found

    def copies(self, gang: GangRequest, done_at: float = math.inf) -> Mapping[str, int]:
        """Return how many of the gang's pods fit into what is free, by node name.

        Args:
            gang: The gang.
            done_at: When it will be done, seconds since the epoch: only who is by then has what is held for others.
        """
        if gang.per_pod not in self._copies:
            request = gang.resources
            self._copies[gang.per_pod] = {node.name: copies_that_fit(request, self.free(node)) for node in self.nodes}
        copies = self._copies[gang.per_pod]
        if not self._held or done_at <= self._clear_at < math.inf:
            return copies
        if gang.per_pod not in self._open:
            self._open[gang.per_pod] = {**copies, **dict.fromkeys(self._held, 0)}
        return self._open[gang.per_pod]

    def told(self, key: Hashable, compose: Callable[[], str]) -> str:
        """Return a phrase about what is free, composed anew only after a reservation."""
        phrase = self._phrases.get(key)
        if phrase is None:
            phrase = self._phrases[key] = compose()
        return phrase

    def copies_when_empty(self, gang: GangRequest) -> Mapping[str, int]:
        """Return how many of the gang's pods would fit if nothing else ran, by node name."""
        if gang.per_pod not in self._copies_when_empty:
            request = gang.resources
            copies = {node.name: copies_that_fit(request, node.allocatable) for node in self.nodes}
            self._copies_when_empty[gang.per_pod] = copies
        return self._copies_when_empty[gang.per_pod]
