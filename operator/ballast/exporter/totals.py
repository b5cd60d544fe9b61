"""What the pod has used since it began, by component, share and GPU: counters that never fall, and count nothing twice.

The agent counts the whole life of the pod, as one account that begins at its `since`; it survives restarts of the agent
and catches up with what it missed. So:

- While the account is the same, a total goes to what the account says. Where the total is ahead (the agent was
  restored from a file that is some seconds old, or a fallback has counted meanwhile), it waits there until the account
  has caught up: active and idle together, since a fallback may divide them otherwise than the agent does.
- Another `since` is another account, which begins at zero: the old one was lost. What was told until then becomes the
  base to which the new account adds, and with it of what a fallback counted no more than it had counted by that moment:
  from then on the new account counts.
- A fallback counts only while no agent tells anything.

Restarts of the exporter change nothing, because all this is saved before it is told (`state_file`). Not thread-safe:
the poll loop alone has it, and tells others frozen `Figures`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from ballast.api.finalreading import Joules
from ballast.api.source import Component, Source
from ballast.exporter.readings import Readings

MOST_MARKS: Final = 32
"""How many moments of a gap are remembered; for an account that begins between two of them the earlier one counts."""
SAME_SINCE_SECONDS: Final = 0.001
WORST: Final = {Source.COUNTER: 0, Source.INTEGRAL: 1, Source.ESTIMATED: 2}


class Key(NamedTuple):
    """What is counted apart.

    Attributes:
        component: gpu, cpu or dram.
        uuid: of the GPU; empty for the others.
        mig_device: of the GPU's part, where it has parts.
    """

    component: Component
    uuid: str = ""
    mig_device: str = ""


class Pair(NamedTuple):
    """Joules of the pod's own work, and its part of what would be drawn without load."""

    active: float = 0.0
    idle: float = 0.0

    def plus(self, other: Pair) -> Pair:
        """Return the sum."""
        return Pair(self.active + other.active, self.idle + other.idle)

    def minus(self, other: Pair) -> Pair:
        """Return the difference, which is not below zero."""
        return Pair(max(self.active - other.active, 0.0), max(self.idle - other.idle, 0.0))

    def towards(self, goal: Pair) -> Pair:
        """Return the pair that both of whose parts are no less than these, and whose sum is the goal's.

        It is the goal itself where that is no less in both parts, and this pair where the goal's sum is less.
        """
        rise = sum(goal) - sum(self)
        active, idle = goal.minus(self)
        if rise <= 0 or active + idle <= 0:
            return self
        part = min(rise / (active + idle), 1.0)
        return Pair(self.active + active * part, self.idle + idle * part)


NOTHING: Final = Pair()


@dataclass(slots=True)
class _Total:
    told: Pair = NOTHING
    base: Pair = NOTHING
    source: Source = Source.COUNTER


class Totals:
    """The totals of one pod.

    Attributes:
        at: until when they count, in seconds since the epoch; None before anything is known.
    """

    def __init__(self) -> None:
        self.at: float | None = None
        self._totals: dict[Key, _Total] = {}
        self._since: float | None = None
        self._gap: dict[Key, Pair] = {}  # what a fallback has counted since the agent's last word
        self._marks: list[tuple[float, dict[Key, Pair]]] = []  # how much of it at which time

    def take(self, readings: Readings) -> None:
        """Take over what the agent says."""
        if self._since is None or abs(readings.since - self._since) > SAME_SINCE_SECONDS:
            self._begin_account(readings.since)
        for share in readings.shares:
            total = self._total(Key(share.component, share.uuid, share.mig_device))
            total.told = total.told.towards(total.base.plus(Pair(share.active_joules, share.idle_joules)))
            total.source = share.source
        self.at = readings.at
        self._gap.clear()
        self._marks.clear()

    def add(self, joules: Mapping[Key, Pair], source: Mapping[Key, Source], at: float) -> None:
        """Add what a fallback has counted since it was asked last.

        Args:
            joules: of each part of the pod.
            source: where they come from.
            at: until when, in seconds since the epoch.
        """
        for key, pair in joules.items():
            total = self._total(key)
            total.told = total.told.plus(pair)
            total.source = source[key]
            self._gap[key] = self._gap.get(key, NOTHING).plus(pair)
        self.at = at
        self._mark(at)

    def joules(self) -> dict[Component, Joules]:
        """Return the totals by component; the source is the worst of its parts'."""
        found: dict[Component, Joules] = {}
        for key, total in self._totals.items():
            before = found.get(key.component, Joules(source=total.source))
            worst = max(before.source, total.source, key=WORST.__getitem__)
            found[key.component] = Joules(before.active + total.told.active, before.idle + total.told.idle, worst)
        return found

    def gpu_joules(self) -> dict[str, float]:
        """Return the total of each GPU by its UUID."""
        found: dict[str, float] = {}
        for key, total in self._totals.items():
            if key.component is Component.GPU:
                found[key.uuid] = found.get(key.uuid, 0.0) + sum(total.told)
        return found

    def to_json(self) -> dict[str, Any]:
        """Return everything, as it is saved."""
        return {
            "at": self.at,
            "since": self._since,
            "totals": [[*key, *total.told, *total.base, total.source.value] for key, total in self._totals.items()],
            "gap": [[at, [[*key, *pair] for key, pair in counted.items()]] for at, counted in self._marks],
        }

    @classmethod
    def restored(cls, saved: Mapping[str, Any]) -> Totals:
        """Return what was saved.

        Raises:
            ValueError, KeyError, TypeError: it is not what `to_json` gives.
        """
        totals = cls()
        totals.at = None if saved["at"] is None else float(saved["at"])
        totals._since = None if saved["since"] is None else float(saved["since"])
        for component, uuid, mig_device, active, idle, base_active, base_idle, source in saved["totals"]:
            key = _key(component, uuid, mig_device)
            told, base = Pair(float(active), float(idle)), Pair(float(base_active), float(base_idle))
            totals._totals[key] = _Total(told, base, Source(source))
        for at, counted in saved["gap"]:
            mark = {_key(*key): Pair(float(active), float(idle)) for *key, active, idle in counted}
            totals._marks.append((float(at), mark))
        if totals._marks:
            totals._gap = dict(totals._marks[-1][1])
        return totals

    def _total(self, key: Key) -> _Total:
        total = self._totals.get(key)
        if total is None:
            total = self._totals[key] = _Total()
        return total

    def _begin_account(self, since: float) -> None:
        counted: Mapping[Key, Pair] = {}
        for at, mark in self._marks:
            if at <= since:
                counted = mark
        for key, total in self._totals.items():
            before = total.told.minus(self._gap.get(key, NOTHING))
            total.base = before.plus(counted.get(key, NOTHING))
        self._since = since

    def _mark(self, at: float) -> None:
        if self._marks and self._marks[-1][1] == self._gap:
            return
        marks = self._marks
        # Evenly over the gap, however long it gets; the newest always stays.
        if len(marks) > 1 and marks[-1][0] - marks[-2][0] < (at - marks[0][0]) / (MOST_MARKS / 2):
            marks.pop()
        marks.append((at, dict(self._gap)))
        if len(marks) > MOST_MARKS:
            self._marks = marks[:-1:2] + marks[-1:]


@dataclass(frozen=True, slots=True)
class GpuFigures:
    """One GPU of the pod.

    Attributes:
        uuid: its UUID.
        joules: the pod's total.
        watts: the pod's power; None if it is not known now.
        power_limit_watts: the GPU's, likewise.
    """

    uuid: str
    joules: float
    watts: float | None = None
    power_limit_watts: float | None = None


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told to Prometheus and in the last words; made at each poll, after it was saved.

    Attributes:
        at: when the meter looked last, in seconds since the epoch; None if it never did.
        fresh_until: until when watts hold, by the steady clock.
        joules: by component.
        watts: by component, of that look.
        gpus: each GPU of the pod.
    """

    at: float | None = None
    fresh_until: float = 0.0
    joules: Mapping[Component, Joules] = field(default_factory=dict)
    watts: Mapping[Component, float] = field(default_factory=dict)
    gpus: tuple[GpuFigures, ...] = ()

    @classmethod
    def of(
        cls,
        totals: Totals,
        fresh_until: float = 0.0,
        watts: Mapping[Component, float] | None = None,
        gpu_watts: Mapping[str, float] | None = None,
        gpu_limits: Mapping[str, float] | None = None,
    ) -> Figures:
        """Return the totals together with what holds for the moment."""
        gpu_watts, gpu_limits = gpu_watts or {}, gpu_limits or {}
        gpus = tuple(
            GpuFigures(uuid, joules, gpu_watts.get(uuid), gpu_limits.get(uuid))
            for uuid, joules in totals.gpu_joules().items()
        )
        return cls(totals.at, fresh_until, totals.joules(), watts or {}, gpus)

    @property
    def total_joules(self) -> float:
        """All components together."""
        return sum(each.total for each in self.joules.values())


def _key(component: str, uuid: str, mig_device: str) -> Key:
    return Key(Component(component), str(uuid), str(mig_device))


def watts_by_component(shares: Iterable[tuple[Component, float]]) -> dict[Component, float]:
    """Return the power of each component, all of its parts together."""
    found: dict[Component, float] = {}
    for component, watts in shares:
        found[component] = found.get(component, 0.0) + watts
    return found
