"""Where a job fits: what all arms that place jobs one after the other have in common.

A job that fits into a node of a GPU model goes to one node; a larger one takes whole nodes of one GPU model. Among the
nodes that fit, a scheduler's score decides, and chance where scores are equal. With GPUs as the only resource
kube-scheduler's scores are simple: NodeResourcesFit scores a node by the share of its GPUs that stay free
(LeastAllocated, the default) or that are taken (MostAllocated), and NodeResourcesBalancedAllocation, which compares the
shares of several resources, scores all nodes alike. Two liberties are taken in every arm: by default kube-scheduler
scores CPU and memory, for which GPUs stand here, as pods ask for them in proportion; and nodes that are switched off
are looked at only when no other fits, as a cluster autoscaler adds nodes only for pods that fit nowhere.

What must hold: a placement covers exactly the job's GPUs, on nodes of one GPU model, within what is free; and if a job
does not fit, no larger one does on the same GPU models, so that looking can stop there.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import TypeAlias

from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode, Start, View

Placement: TypeAlias = Mapping[str, int]
"""GPUs by node name."""


class Room:
    """What is free while a policy decides: GPUs that it gives away are gone for the jobs after."""

    def __init__(self, nodes: Mapping[str, SimNode], free: Mapping[str, int], off: Collection[str] = ()) -> None:
        self.nodes = nodes
        self.free = dict(free)
        self.off = off
        self.gpus = sum(self.free.values())
        self.models = frozenset(node.gpu_model for node in nodes.values())

    @classmethod
    def of(cls, view: View) -> Room:
        """Return what is free in a view."""
        return cls(view.nodes, view.free, view.off)

    def take(self, placement: Placement) -> None:
        """Give GPUs away."""
        for name, gpus in placement.items():
            self.free[name] -= gpus
            self.gpus -= gpus

    def give_back(self, placement: Placement) -> None:
        """Have GPUs again."""
        for name, gpus in placement.items():
            self.free[name] += gpus
            self.gpus += gpus

    def could_ever_hold(self, gpus: int) -> frozenset[str]:
        """Return the GPU models of which the nodes together have so many GPUs."""
        return frozenset(
            model
            for model in self.models
            if gpus <= sum(node.gpus for node in self.nodes.values() if node.gpu_model == model)
        )

    def gpu_model(self, placement: Placement) -> str:
        """Return the GPU model of a placement."""
        return self.nodes[next(iter(placement))].gpu_model


class Packer:
    """Chooses nodes by a score; nodes of equal score by chance."""

    def __init__(self, seed: int, *, spread: bool) -> None:
        """Make one.

        Args:
            seed: Of its chances.
            spread: Prefer the node of which the least is allocated (LeastAllocated), else that of which the most is
                (MostAllocated).
        """
        self._chance = random.Random(seed)  # noqa: S311 - no secret
        self._sign = 1 if spread else -1

    def place(self, gpus: int, room: Room, models: frozenset[str]) -> Placement | None:
        """Return where so many GPUs are free for one job, on one of the GPU models; None where they are not."""
        nodes = [node for node in room.nodes.values() if node.gpu_model in models]
        fitting = [node for node in nodes if gpus <= room.free[node.name]]
        if fitting:
            chosen = self._best([node for node in fitting if node.name not in room.off] or fitting, gpus, room)
            return {chosen.name: gpus}
        small = models - {node.gpu_model for node in nodes if gpus <= node.gpus}
        return self._whole_nodes(gpus, room, [node for node in nodes if node.gpu_model in small])

    def _best(self, nodes: Sequence[SimNode], gpus: int, room: Room) -> SimNode:
        allocated = [self._sign * (node.gpus - room.free[node.name] + gpus) / node.gpus for node in nodes]
        least = min(allocated)
        ties = [node for node, share in zip(nodes, allocated, strict=True) if share == least]
        return ties[0] if len(ties) == 1 else self._chance.choice(ties)

    def _whole_nodes(self, gpus: int, room: Room, nodes: Sequence[SimNode]) -> Placement | None:
        by_model: dict[str, list[SimNode]] = {}
        for node in nodes:
            if room.free[node.name] == node.gpus > 0:
                by_model.setdefault(node.gpu_model, []).append(node)
        fitting = [found for empty in by_model.values() if (found := self._fewest(gpus, room, empty))]
        if not fitting:
            return None
        to_boot = [sum(name in room.off for name in placement) for placement in fitting]
        return self._chance.choice(
            [placement for placement, boots in zip(fitting, to_boot, strict=True) if boots == min(to_boot)]
        )

    def _fewest(self, gpus: int, room: Room, empty: list[SimNode]) -> dict[str, int] | None:
        if sum(node.gpus for node in empty) < gpus:
            return None
        self._chance.shuffle(empty)
        # Sorting is stable: among equals the order stays that of chance.
        empty.sort(key=lambda node: (node.name in room.off, -node.gpus))
        placement: dict[str, int] = {}
        for node in empty:
            if gpus <= 0:
                break
            placement[node.name] = min(gpus, node.gpus)
            gpus -= node.gpus
        return placement


Tiers: TypeAlias = Callable[[TraceJob, Room], Sequence[frozenset[str]]]
"""Sets of GPU models that a job may use: the first in which it fits now is taken."""

LimitAtStart: TypeAlias = Callable[[TraceJob, SimNode], float]
"""At which power limit a job starts on a node, in watts for each GPU."""


def any_model(job: TraceJob, room: Room) -> Sequence[frozenset[str]]:
    """Let a job use any GPU model, none before another."""
    del job
    return (room.models,)


def max_limit(job: TraceJob, node: SimNode) -> float:
    """Start a job at the node's maximum power limit."""
    del job
    return node.max_limit_watts


def start_in_order(
    jobs: Iterable[TraceJob], room: Room, packer: Packer, tiers: Tiers = any_model, limit: LimitAtStart = max_limit
) -> list[Start]:
    """Start every job that fits, in the given order; one that does not fit blocks nobody.

    Args:
        jobs: That wait.
        room: Is changed: what the jobs get is taken.
        packer: Chooses their nodes.
        tiers: The GPU models that they may use.
        limit: Their power limits.
    """
    starts: list[Start] = []
    least_blocked: dict[frozenset[str], int] = {}
    for job in jobs:
        if not room.gpus:
            break
        for models in tiers(job, room):
            if job.gpus >= least_blocked.get(models, job.gpus + 1):
                continue
            placement = packer.place(job.gpus, room, models)
            if placement is None:
                least_blocked[models] = job.gpus
                continue
            room.take(placement)
            starts.append(Start(job.name, placement, limit(job, room.nodes[next(iter(placement))])))
            break
    return starts
