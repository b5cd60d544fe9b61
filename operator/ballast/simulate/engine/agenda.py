"""What will happen in a run, in order of time; what happens at the same moment comes in the order of `What`.

What must hold: of equals, the seed decides who comes first, not the order in which they were planned.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from enum import IntEnum
from random import Random
from typing import NamedTuple


class What(IntEnum):
    """What a moment brings. Nodes come up before the jobs on them begin; ends free GPUs before they are wanted."""

    NODE_UP = 0
    WORKS = 1
    ENDS = 2
    ARRIVES = 3
    READING = 4
    ALL_READINGS = 5
    WAKE_UP = 6
    NODE_EMPTY = 7


class Moment(NamedTuple):
    """An entry of the agenda.

    Attributes:
        at: Seconds since the trace began.
        tie: Drawn by the seed.
        who: Job or node; empty where it is nobody in particular.
        version: Of its state when this was planned: another one now means that it is stale.
    """

    at: float
    what: What
    tie: float
    who: str
    version: int


class Agenda:
    """A heap of moments. Nothing is ever taken out before its time: who takes it looks at its version."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._heap: list[Moment] = []

    def __bool__(self) -> bool:
        return bool(self._heap)

    def plan(self, at: float, what: What, who: str = "", version: int = 0) -> None:
        """Add a moment."""
        heapq.heappush(self._heap, Moment(at, what, self._random.random(), who, version))

    def next_at(self) -> float:
        """When the next moment comes; there must be one."""
        return self._heap[0].at

    def due(self, now: float) -> Iterator[Moment]:
        """Take out all that comes now, what is planned for now meanwhile included."""
        while self._heap and self._heap[0].at <= now:
            yield heapq.heappop(self._heap)
