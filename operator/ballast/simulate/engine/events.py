"""What happened in a run, and the joules that follow from it.

The engine appends to this log and never looks at it; rows, sums and plots are made from it alone. What must hold: the
log says all that joules depend on, so that integrating it gives what the engine counted while it ran. Power is base +
idle + dynamic + boot: the base of every node that is on, the idle power of all its GPUs (busy ones too), what jobs draw
above that, and what nodes draw while they boot. A node that is off draws nothing, and one that boots draws its boot
joules and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from ballast.simulate.policy import SimNode


class EventKind(StrEnum):
    """What can happen."""

    SUBMITTED = "submitted"
    STARTED = "started"
    """A job got its GPUs. Where nodes must boot first, or a stopped job must restart, it draws nothing yet."""
    RUNS = "runs"
    """It began to work: at once, or when its nodes were up."""
    LIMIT = "limit"
    ENDED = "ended"
    STOPPED = "stopped"
    NODE_OFF = "node-off"
    BOOT = "boot"
    BOOTED = "booted"


class Event(NamedTuple):
    """An entry of the log.

    Attributes:
        at: Seconds since the trace began.
        job: Its name; empty for a node's events.
        node: Likewise.
        gpus: With `EventKind.STARTED`: GPUs by node.
        gpu_model: Likewise.
        limit_watts: Of each of the job's GPUs from now on.
        watts: What the job draws from now on above the idle power of its GPUs, all together; for a boot, what the node
            draws until it is up.
        work_per_second: Seconds of reference work that the job does each second from now on, on all of its GPUs
            together.
    """

    at: float
    kind: EventKind
    job: str = ""
    node: str = ""
    gpus: tuple[tuple[str, int], ...] = ()
    gpu_model: str = ""
    limit_watts: float = 0.0
    watts: float = 0.0
    work_per_second: float = 0.0


@dataclass(frozen=True, slots=True)
class Joules:
    """Energy, by what it was spent on.

    Attributes:
        dynamic: Of jobs, above the idle power of their GPUs.
        idle: Of all GPUs of nodes that were on, busy or not.
        base: Of nodes that were on, without their GPUs.
        boot: Of nodes that booted.
    """

    dynamic: float
    idle: float
    base: float
    boot: float

    @property
    def total(self) -> float:
        """All of it."""
        return self.dynamic + self.idle + self.base + self.boot


class PowerStep(NamedTuple):
    """The cluster's power from a moment until the next step's.

    Attributes:
        at: Seconds since the trace began.
        watts: All of it.
        floor_watts: Base and idle power of the nodes that are on: no moment may lie below.
    """

    at: float
    watts: float
    floor_watts: float


@dataclass(frozen=True, slots=True)
class Spent:
    """What integrating a log gives.

    Attributes:
        joules: Of the cluster.
        dynamic_joules: Of each job.
        work: Of each job: seconds of reference work of all its GPUs together.
        run_seconds: Of each job: how long it worked.
    """

    joules: Joules
    dynamic_joules: Mapping[str, float]
    work: Mapping[str, float]
    run_seconds: Mapping[str, float]


_RESTS = frozenset({EventKind.ENDED, EventKind.STOPPED})


def integrate(events: Iterable[Event], nodes: Iterable[SimNode], horizon: float) -> Spent:
    """Sum up a log until ``horizon``: what is later counts for nothing, and what lasts lasts until then.

    Args:
        events: In the order in which they happened.
        nodes: All of the cluster; every node is on when the trace begins.
        horizon: Seconds since the trace began.
    """
    by_name = {node.name: node for node in nodes}
    on_since = dict.fromkeys(by_name, 0.0)
    boots: dict[str, Event] = {}
    working: dict[str, Event] = {}
    dynamic: dict[str, float] = {}
    work: dict[str, float] = {}
    seconds: dict[str, float] = {}
    idle = base = boot = 0.0

    def rest(job: str, at: float) -> None:
        since = working.pop(job, None)
        if since is not None:
            lasted = at - since.at
            dynamic[job] = dynamic.get(job, 0.0) + since.watts * lasted
            work[job] = work.get(job, 0.0) + since.work_per_second * lasted
            seconds[job] = seconds.get(job, 0.0) + lasted

    def turn_off(name: str, at: float) -> None:
        nonlocal idle, base
        node, lasted = by_name[name], at - on_since.pop(name)
        idle += node.idle_watts * node.gpus * lasted
        base += node.base_watts * lasted

    for event in events:
        if event.at > horizon:
            break
        if event.kind is EventKind.RUNS or (event.kind is EventKind.LIMIT and event.job in working):
            rest(event.job, event.at)
            working[event.job] = event
        elif event.kind in _RESTS:
            rest(event.job, event.at)
        elif event.kind is EventKind.NODE_OFF:
            turn_off(event.node, event.at)
        elif event.kind is EventKind.BOOT:
            boots[event.node] = event
        elif event.kind is EventKind.BOOTED:
            began = boots.pop(event.node)
            boot += began.watts * (event.at - began.at)
            on_since[event.node] = event.at
    for job in list(working):
        rest(job, horizon)
    for name in list(on_since):
        turn_off(name, horizon)
    boot += sum(began.watts * (horizon - began.at) for began in boots.values())
    return Spent(Joules(sum(dynamic.values()), idle, base, boot), dynamic, work, seconds)


def power_steps(events: Iterable[Event], nodes: Iterable[SimNode], horizon: float) -> list[PowerStep]:
    """The cluster's power over time, from 0 to ``horizon``; one step for each moment at which it changed."""
    floor_of = {node.name: node.base_watts + node.idle_watts * node.gpus for node in nodes}
    on = set(floor_of)
    floor = sum(floor_of.values())
    above: dict[str, float] = {}
    total = 0.0
    steps = [PowerStep(0.0, floor, floor)]

    def floor_now() -> float:
        # Not by adding and taking away: rounding would leave a cluster that is off with less than nothing.
        return sum(floor_of[name] for name in floor_of if name in on)

    def draws(who: str, watts: float) -> None:
        nonlocal total
        total += watts - above.pop(who, 0.0)
        if watts:
            above[who] = watts
        elif not above:
            total = 0.0  # what is left are rounding errors

    for event in events:
        if event.at > horizon:
            break
        if event.kind is EventKind.RUNS or event.kind is EventKind.LIMIT:
            draws(f"job {event.job}", event.watts)
        elif event.kind in _RESTS:
            draws(f"job {event.job}", 0.0)
        elif event.kind is EventKind.BOOT:
            draws(f"node {event.node}", event.watts)
        elif event.kind is EventKind.BOOTED:
            draws(f"node {event.node}", 0.0)
            on.add(event.node)
            floor = floor_now()
        elif event.kind is EventKind.NODE_OFF:
            on.discard(event.node)
            floor = floor_now()
        else:
            continue
        step = PowerStep(event.at, floor + total, floor)
        if step.at == steps[-1].at:
            steps[-1] = step
        elif step[1:] != steps[-1][1:]:
            steps.append(step)
    return steps


def intervals(steps: Sequence[PowerStep], horizon: float) -> Iterator[tuple[float, float, float]]:
    """Start, end and watts of each step; the last one lasts until ``horizon``."""
    for index, step in enumerate(steps):
        yield step.at, steps[index + 1].at if index + 1 < len(steps) else horizon, step.watts
