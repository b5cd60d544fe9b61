"""A run's log, replayed against what a cluster can do: who held which GPUs when, and which nodes were on.

The engine refuses a policy's impossible steps while it runs; this finds in the log what the engine itself would have
let pass. What must hold: it shares no state with the engine, and looks at log, jobs, nodes and rules alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from ballast.simulate.engine.events import Event, EventKind
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.rules import why_not_there
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SimNode

_ROUNDING = 1e-6


def fault(
    events: Iterable[Event], jobs: Sequence[TraceJob], nodes: Sequence[SimNode], options: Options, until: float
) -> str | None:
    """Return what in a log no cluster under these rules could have done; None if there is nothing.

    Args:
        events: In the order in which they happened.
        jobs: Of the run.
        nodes: All of the cluster; every node is on when the trace begins.
        options: The rules.
        until: When the last job ended: nodes may still have been on their way off.
    """
    replay = _Replay(jobs, nodes, options)
    for event in events:
        found = replay.fault(event)
        if found is not None:
            return f"{found}, at {event.at:g} s"
    return replay.left_on(until)


class _Replay:
    def __init__(self, jobs: Sequence[TraceJob], nodes: Sequence[SimNode], options: Options) -> None:
        self._jobs = {job.name: job for job in jobs}
        self._nodes = {node.name: node for node in nodes}
        self._options = options
        self._free = {node.name: node.gpus for node in nodes}
        self._held: dict[str, tuple[tuple[str, int], ...]] = {}
        self._submitted: set[str] = set()
        self._on = set(self._nodes)
        self._empty_since = dict.fromkeys(self._nodes, 0.0)
        self._boots: dict[str, float] = {}

    def fault(self, event: Event) -> str | None:
        """Take an event in; return what is wrong with it."""
        match event.kind:
            case EventKind.SUBMITTED:
                self._submitted.add(event.job)
                if not _is_same(event.at, self._jobs[event.job].submitted_at):
                    return f"job {event.job} was submitted, {self._jobs[event.job].submitted_at:g} s in the trace"
            case EventKind.STARTED:
                return self._started(event)
            case EventKind.RUNS:
                if event.job not in self._held or not all(name in self._on for name, _ in self._held[event.job]):
                    return f"job {event.job} worked without GPUs that are on"
            case EventKind.STOPPED | EventKind.ENDED:
                return self._rests(event)
            case EventKind.NODE_OFF:
                return self._off(event)
            case EventKind.BOOT:
                self._boots[event.node] = event.at
                joules = event.watts * self._options.boot_seconds
                if event.node in self._on or not _is_same(joules, self._options.boot_joules):
                    return f"node {event.node} booted while it was on, or for other joules than the rules say"
            case EventKind.BOOTED:
                self._on.add(event.node)
                if event.node in self._empty_since:
                    self._empty_since[event.node] = event.at
                if not _is_same(event.at - self._boots.pop(event.node, math.nan), self._options.boot_seconds):
                    return f"node {event.node} was up after another time than the rules say"
            case EventKind.LIMIT:
                if event.job not in self._held:
                    return f"job {event.job} got a power limit without GPUs"
        return None

    def left_on(self, until: float) -> str | None:
        """Return which node should have been switched off by then and was not."""
        return next(filter(None, (self._overdue(name, until) for name in self._nodes)), None)

    def _overdue(self, name: str, now: float) -> str | None:
        after, since = self._options.switch_off_after_seconds, self._empty_since.get(name)
        if after is None or since is None or name not in self._on or now <= since + after + _ROUNDING:
            return None
        return f"node {name} was empty from {since:g} s on and was not switched off"

    def _started(self, event: Event) -> str | None:
        asked = dict(event.gpus)
        if event.job in self._held or event.job not in self._submitted:
            return f"job {event.job} started twice, or before it was submitted"
        because = why_not_there(self._jobs[event.job], asked, self._nodes, self._free)
        if because is not None:
            return f"job {event.job} started on {asked}, but {because}"
        overdue = next(filter(None, (self._overdue(name, event.at) for name in asked)), None)
        if overdue is not None:
            return overdue
        self._held[event.job] = event.gpus
        for name, count in event.gpus:
            self._free[name] -= count
            self._empty_since.pop(name, None)
        return None

    def _rests(self, event: Event) -> str | None:
        if event.job not in self._held:
            return f"job {event.job} gave back GPUs that it did not hold"
        for name, count in self._held.pop(event.job):
            self._free[name] += count
            if self._free[name] == self._nodes[name].gpus:
                self._empty_since[name] = event.at
        if event.kind is EventKind.ENDED:
            self._submitted.discard(event.job)  # it must not start again
        return None

    def _off(self, event: Event) -> str | None:
        after, since = self._options.switch_off_after_seconds, self._empty_since.get(event.node)
        if after is None or since is None or event.node not in self._on or event.at < since + after - _ROUNDING:
            return f"node {event.node} was switched off against the rules"
        self._on.discard(event.node)
        return None


def _is_same(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=_ROUNDING, abs_tol=_ROUNDING)
