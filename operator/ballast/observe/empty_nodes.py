"""Which nodes with GPUs are empty, since when, and which of them a cycle has to look at.

Incremental: a node, what is taken of it, which jobs are on it, or who holds its GPUs marks that node when it changes,
and only those nodes are looked at in the next cycle, or when their time comes. What must hold: while a write about a
node's mark is under way, and for a while after one failed, nothing else is decided about it; since when a node has been
empty is known after a restart by what it says itself; however many nodes are to be marked at once, only a few writes
stand before what jobs wait for.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable

from ballast.decide.actions import MarkNode
from ballast.decide.empty_nodes import marked_at, right_mark
from ballast.decide.node import Node
from ballast.decide.policy import Policy
from ballast.decide.resources import GPU
from ballast.decide.vacancies import NO_MARK, Vacancy
from ballast.observe.jobs_on_nodes import JobsOnNodes
from ballast.observe.node_powers import NodePowers
from ballast.observe.node_usage import NodeUsage
from ballast.observe.timers import Timers, retry_delay

GPU_RESOURCES = "nvidia.com/"
"""What resources begin with that stand for a GPU or a part of one: also time slices and MIG devices."""

MOST_UNDER_WAY = 16
"""While so many writes are under way no more nodes are marked; marks come off whenever they must."""


class EmptyNodes:
    """See the module's docstring.

    Args:
        policy: whether, and after what time, empty nodes are marked.
        usage: what is taken of nodes.
        jobs: which jobs are on them.
        powers: what agents tell of their GPUs.
    """

    def __init__(self, policy: Policy, usage: NodeUsage, jobs: JobsOnNodes, powers: NodePowers) -> None:
        self._policy = policy
        self._usage = usage
        self._jobs = jobs
        self._powers = powers
        self._since: dict[str, float] = {}
        self._known: set[str] = set()
        self._held: frozenset[str] = frozenset()
        self._touched: set[str] = set()
        self._ready: set[str] = set()
        self._to_mark: set[str] = set()
        self._due = Timers()
        self._under_way: set[str] = set()
        self._failures: dict[str, int] = {}
        self._rests = Timers()
        self._resting: set[str] = set()

    # -- what happened

    def look(self, *names: str) -> None:
        """Have nodes looked at, because something changed that their marks depend on."""
        self._touched.update(names)

    def promise(self, names: Iterable[str]) -> None:
        """Take in that a gang gets nodes: they count anew, however soon it gives them back."""
        for name in names:
            self._since.pop(name, None)
            self._known.add(name)
            self.look(name)

    def hold(self, names: frozenset[str]) -> None:
        """Set which nodes are held for a gang that waits, in place of those before."""
        self.look(*(names ^ self._held))
        self._held = names

    # -- what the operator does

    def assume(self, action: MarkNode) -> None:
        """Count a write as under way."""
        self._under_way.add(action.node)

    def settle(self, action: MarkNode) -> None:
        """Take in that a write is done."""
        self._under_way.discard(action.node)
        self._failures.pop(action.node, None)
        self.look(action.node)

    def reject(self, action: MarkNode, now: float) -> None:
        """Take in that a write failed; its node rests for a while, longer each time."""
        self._under_way.discard(action.node)
        failures = self._failures.get(action.node, 0)
        self._failures[action.node] = failures + 1
        self._resting.add(action.node)
        self._rests.set(action.node, now + retry_delay(failures))

    # -- what the control loop reads

    @property
    def marking(self) -> frozenset[str]:
        """The nodes about whose marks nothing is to be decided now."""
        return frozenset(self._under_way | self._resting)

    def views(self, now: float) -> tuple[Vacancy, ...]:
        """Return the nodes to look at, and mark them as seen."""
        rested = self._rests.pop_due(now)
        self._resting.difference_update(rested)
        self.look(*rested, *self._due.pop_due(now), *self._usage.take_touched(), *self._jobs.take_touched())
        # Since when a node is empty is noted at once, also where nothing can be decided about it now.
        for name in self._touched:
            self._note(name, self._usage.node(name), now)
        self._touched = set()
        ready = self._ready - self._under_way - self._resting
        room = max(MOST_UNDER_WAY - len(self._under_way), 0)
        ready.update(heapq.nsmallest(room, self._to_mark - self._under_way - self._resting))
        self._ready -= ready
        self._to_mark -= ready
        nodes = (self._usage.node(name) for name in sorted(ready))
        return tuple(self._view(node) for node in nodes if node is not None and self._concerns(node))

    def look_again(self, views: Iterable[Vacancy]) -> None:
        """Put nodes back, because the cycle's actions were cut off."""
        self.look(*(view.name for view in views))

    def next_due(self) -> float | None:
        """Return when time alone calls for another look, in seconds since the epoch; None if it never does."""
        if len(self._under_way) < MOST_UNDER_WAY and self._to_mark - self._under_way - self._resting:
            return 0.0
        return min((due for due in (self._due.next(), self._rests.next()) if due is not None), default=None)

    def _concerns(self, node: Node) -> bool:
        return node.mark != NO_MARK or (self._policy.mark_empty_nodes and node.allocatable.get(GPU, 0) > 0)

    def _note(self, name: str, node: Node | None, now: float) -> None:
        """Note since when a node has been empty, when it is to be marked, and whether that is now."""
        self._to_mark.discard(name)
        self._ready.add(name)
        if node is None or not self._is_empty(node):
            self._since.pop(name, None)
            self._due.set(name, None)
            if node is None:
                self._failures.pop(name, None)
                self._known.discard(name)
            else:
                self._known.add(name)
            return
        if name not in self._since:
            # Later it may be a mark that is just being taken off.
            told = node.mark.since if node.mark.empty and name not in self._known else None
            self._since[name] = float(math.floor(now if told is None else min(told, now)))
        self._known.add(name)
        due = marked_at(self._since[name], self._policy)
        self._due.set(name, due if due > now else None)
        if due <= now and node.mark != right_mark(self._since[name]):
            self._ready.discard(name)
            self._to_mark.add(name)

    def _is_empty(self, node: Node) -> bool:
        if not self._policy.mark_empty_nodes or node.allocatable.get(GPU, 0) <= 0:
            return False
        if node.name in self._held or self._jobs.on(node.name):
            return False
        taken = (name for name, free in node.free.items() if free < node.allocatable.get(name, 0))
        if any(name.startswith(GPU_RESOURCES) for name in taken):
            return False
        # Also what no request shows. An agent that is gone says nothing new: then the node counts as it was last.
        return not any(gpu.holders for gpu in self._powers.gpus(node.name).values())

    def _view(self, node: Node) -> Vacancy:
        gpus = tuple(self._powers.gpus(node.name).values())
        assumed = node.gpu_model.idle_watts if node.gpu_model is not None else 0.0
        measured = [gpu.idle_watts for gpu in gpus if gpu.idle_watts is not None]
        count = len(gpus) or node.allocatable.get(GPU, 0)
        return Vacancy(
            name=node.name,
            uid=node.uid,
            mark=node.mark,
            empty_since=self._since.get(node.name),
            gpus=count,
            idle_watts=sum(measured) + assumed * (count - len(measured)),
            measured=len(measured) == count,
        )
