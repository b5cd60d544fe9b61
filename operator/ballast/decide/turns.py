"""Whose turn it is, while a cycle gives out what is free.

The first of each lane stands in a heap of its namespace, and the first of each namespace in another: what a gang
takes changes the place of its own namespace only. What must hold: the order is by precedence, later by what fair share
puts the namespace back, with what this cycle has given out; a step costs a logarithm, however many jobs wait.
"""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Sequence

from ballast.decide.fair_share import FairShares
from ballast.decide.snapshot import Job, Lane, Order


class Turns:
    """The first of each lane, in the order of the queue; false when none is left."""

    def __init__(self, lanes: Sequence[Lane], shares: FairShares) -> None:
        self._lanes = lanes
        self._shares = shares
        self._given: Counter[str] = Counter()
        self._heads: dict[str, list[tuple[Order, int, int]]] = {}
        for index, lane in enumerate(lanes):
            if lane.jobs:
                self._heads.setdefault(lane.gang.payer, []).append((lane.jobs[0].order, index, 0))
        for heads in self._heads.values():
            heapq.heapify(heads)
        self._payers = [(self._order(payer), payer) for payer in self._heads]
        heapq.heapify(self._payers)

    def __bool__(self) -> bool:
        return bool(self._payers)

    @property
    def first(self) -> tuple[Lane, Job]:
        """The job whose turn it is, with its lane."""
        _, index, position = self._heads[self._payers[0][1]][0]
        lane = self._lanes[index]
        return lane, lane.jobs[position]

    @property
    def left(self) -> int:
        """How many jobs are left in its lane, itself included."""
        _, index, position = self._heads[self._payers[0][1]][0]
        return len(self._lanes[index].jobs) - position

    def admit(self) -> None:
        """Go on to the next: the first is placed, and its namespace uses so many GPUs more."""
        lane, _ = self.first
        self._given[lane.gang.payer] += lane.gang.gpus
        self.skip()

    def skip(self) -> None:
        """Go on to the next of its lane: the first is somebody else's to place."""
        payer = self._payers[0][1]
        heads = self._heads[payer]
        _, index, position = heads[0]
        lane = self._lanes[index]
        if position + 1 < len(lane.jobs):
            heapq.heapreplace(heads, (lane.jobs[position + 1].order, index, position + 1))
        else:
            heapq.heappop(heads)
        self._settle(payer)

    def pass_over(self) -> None:
        """Go on to the next: the first does not fit, and with it its whole lane."""
        payer = self._payers[0][1]
        heapq.heappop(self._heads[payer])
        self._settle(payer)

    def _settle(self, payer: str) -> None:
        if self._heads[payer]:
            heapq.heapreplace(self._payers, (self._order(payer), payer))
        else:
            heapq.heappop(self._payers)

    def _order(self, payer: str) -> Order:
        precedence, namespace, name = self._heads[payer][0][0]
        return precedence + self._shares.put_back_seconds(payer, self._given[payer]), namespace, name
