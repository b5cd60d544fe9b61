"""The nodes of a running simulation: whose GPUs are free, which nodes are on, and what they drew.

What must hold: a node is switched off only when it held no job for the whole time that the options say, in every arm
alike. A node that is off draws nothing; one that boots draws its boot joules and nothing else, and its jobs wait.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from ballast.simulate.engine.agenda import Agenda, What
from ballast.simulate.engine.events import Event, EventKind, Joules
from ballast.simulate.engine.options import Options
from ballast.simulate.policy import SimNode


@dataclass(slots=True)
class _State:
    """A node's life so far.

    Attributes:
        up: Whether it is on; a node that boots is not.
        boots: Whether it boots.
        changed_at: When it came up, began to boot or went off.
        on_seconds: How long it was on until then.
        boot_seconds: How long it booted until then.
        emptied: How often it was left without jobs: tells a plan to switch it off from a stale one.
    """

    node: SimNode
    up: bool = True
    boots: bool = False
    changed_at: float = 0.0
    on_seconds: float = 0.0
    boot_seconds: float = 0.0
    emptied: int = 0

    def settle(self, now: float) -> None:
        """Add up the time that it was on or booted until now."""
        lasted = now - self.changed_at
        if self.up:
            self.on_seconds += lasted
        elif self.boots:
            self.boot_seconds += lasted
        self.changed_at = now


class Nodes:
    """All nodes, on and without jobs when the trace begins.

    Attributes:
        view: All of them, by name.
        free: GPUs that nobody holds, by node name; live and read-only.
        off: Nodes that are switched off and do not boot.
    """

    def __init__(self, nodes: Sequence[SimNode], options: Options, agenda: Agenda, log: list[Event]) -> None:
        self.view: Mapping[str, SimNode] = MappingProxyType({node.name: node for node in nodes})
        self.off: frozenset[str] = frozenset()
        self._free = {node.name: node.gpus for node in nodes}
        self.free: Mapping[str, int] = MappingProxyType(self._free)
        self._states = {node.name: _State(node) for node in nodes}
        self._options, self._agenda, self._log = options, agenda, log
        for state in self._states.values():
            self._plan_switching_off(state, 0.0)

    def take(self, asked: Mapping[str, int], now: float) -> float:
        """Hold GPUs, by node name, that are free; return when all their nodes will be up: now, if all are."""
        ready = now
        for name, count in asked.items():
            self._free[name] -= count
            state = self._states[name]
            if not state.up:
                if not state.boots:
                    self._boot(state, now)
                ready = max(ready, state.changed_at + self._options.boot_seconds)
        return ready

    def give_back(self, held: Mapping[str, int], now: float) -> None:
        """Let go of GPUs, by node name."""
        for name, count in held.items():
            self._free[name] += count
            state = self._states[name]
            if self._is_empty(state):
                state.emptied += 1
                self._plan_switching_off(state, now)

    def comes_up(self, name: str, now: float) -> None:
        """End a node's boot."""
        state = self._states[name]
        state.settle(now)
        state.boots, state.up = False, True
        self._log.append(Event(now, EventKind.BOOTED, node=name))
        if self._is_empty(state):
            self._plan_switching_off(state, now)

    def switch_off(self, name: str, emptied: int, now: float) -> None:
        """Switch a node off if it held no job since this was planned."""
        state = self._states[name]
        if state.up and state.emptied == emptied and self._is_empty(state):
            state.settle(now)
            state.up = False
            self.off |= {name}
            self._log.append(Event(now, EventKind.NODE_OFF, node=name))

    def joules(self, now: float) -> Joules:
        """What they drew until now, jobs left out."""
        idle = base = boot = 0.0
        for state in self._states.values():
            state.settle(now)
            idle += state.on_seconds * state.node.idle_watts * state.node.gpus
            base += state.on_seconds * state.node.base_watts
            boot += state.boot_seconds * self._options.boot_joules / self._options.boot_seconds
        return Joules(0.0, idle, base, boot)

    def _is_empty(self, state: _State) -> bool:
        return self._free[state.node.name] == state.node.gpus

    def _plan_switching_off(self, state: _State, now: float) -> None:
        after = self._options.switch_off_after_seconds
        if after is not None and state.up:
            self._agenda.plan(now + after, What.NODE_EMPTY, state.node.name, state.emptied)

    def _boot(self, state: _State, now: float) -> None:
        name, seconds = state.node.name, self._options.boot_seconds
        state.settle(now)
        state.boots = True
        self.off -= {name}
        self._agenda.plan(now + seconds, What.NODE_UP, name)
        self._log.append(Event(now, EventKind.BOOT, node=name, watts=self._options.boot_joules / seconds))
