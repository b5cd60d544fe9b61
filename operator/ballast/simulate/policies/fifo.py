"""First come, first served, as kube-scheduler does it: a pod that fits nowhere is set aside, and the next one is tried.

Its default scores spread jobs over nodes; with the scoring strategy MostAllocated the same scheduler packs them. Jobs
run at the GPUs' maximum power limit, on any GPU model: kube-scheduler knows neither speeds nor watts. It also knows no
gangs, and its users see pods of half-started jobs hold GPUs; here all jobs start whole, which favours it.

What must hold: whenever `decide` returns, no waiting job fits that was allowed to run.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.packing import (
    LimitAtStart,
    Packer,
    Room,
    Tiers,
    any_model,
    max_limit,
    start_in_order,
)
from ballast.simulate.policy import Step, View


class Fifo:
    """Starts jobs in the order of their submission, each that fits; what differs between arms is given to it."""

    def __init__(
        self,
        name: str,
        reference: str,
        packer: Packer,
        *,
        tiers: Tiers = any_model,
        limit: LimitAtStart = max_limit,
        keeps_slowdown: bool = False,
    ) -> None:
        """Make an arm; see `ballast.simulate.policy.Policy` and `start_in_order`."""
        self.name = name
        self.reference = reference
        self.keeps_slowdown = keeps_slowdown
        self._packer = packer
        self._tiers = tiers
        self._limit = limit
        self._left_free: Mapping[str, int] = {}
        self._looked_at = 0.0

    def decide(self, view: View) -> Sequence[Step]:
        """Start what fits."""
        room = Room.of(view)
        starts = start_in_order(self._worth_a_look(view), room, self._packer, self._tiers, self._limit)
        self._left_free = room.free
        self._looked_at = view.now
        return starts

    def _worth_a_look(self, view: View) -> Sequence[TraceJob]:
        # What did not fit last time fits now only where GPUs were freed: else only newly submitted jobs may fit.
        if any(free > self._left_free.get(name, -1) for name, free in view.free.items()):
            return view.waiting
        return view.waiting[bisect_left(view.waiting, self._looked_at, key=lambda job: job.submitted_at) :]


def fifo_spread(seed: int) -> Fifo:
    """Make FIFO with kube-scheduler's default scores."""
    return Fifo(
        "fifo-spread",
        "Kubernetes, kube-scheduler's default plugins: NodeResourcesFit with LeastAllocated and "
        "NodeResourcesBalancedAllocation (kubernetes.io/docs/reference/scheduling/config)",
        Packer(seed, spread=True),
    )


def fifo_binpack(seed: int) -> Fifo:
    """Make FIFO with bin-packing."""
    return Fifo(
        "fifo-binpack",
        "Kubernetes, kube-scheduler with NodeResourcesFit's scoring strategy MostAllocated "
        "(kubernetes.io/docs/concepts/scheduling-eviction/resource-bin-packing)",
        Packer(seed, spread=False),
    )
