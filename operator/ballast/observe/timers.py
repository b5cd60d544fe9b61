"""Who is due when: one time per owner, the earliest first.

Setting a time replaces the owner's earlier one; both cost the logarithm of the number of owners. The heap may hold
outdated entries, at most as many as valid ones: beyond that it is built anew.
"""

from __future__ import annotations

import heapq

FIRST_RETRY_SECONDS = 0.5
LONGEST_RETRY_SECONDS = 60.0


def retry_delay(failures: int) -> float:
    """Return how long to wait after something failed, when it had failed so often in a row before."""
    return float(min(FIRST_RETRY_SECONDS * 2 ** min(failures, 16), LONGEST_RETRY_SECONDS))


class Timers:
    """Due times by owner, in seconds since any moment."""

    def __init__(self) -> None:
        self._due: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []

    def set(self, owner: str, due: float | None) -> None:
        """Set when the owner is due; None for never."""
        if due is None:
            self._due.pop(owner, None)
            return
        if self._due.get(owner) == due:
            return
        self._due[owner] = due
        heapq.heappush(self._heap, (due, owner))
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(time, name) for name, time in self._due.items()]
            heapq.heapify(self._heap)

    def pop_due(self, now: float) -> list[str]:
        """Return the owners whose time has come and forget their times."""
        found: list[str] = []
        while self._heap and self._heap[0][0] <= now:
            due, owner = heapq.heappop(self._heap)
            if self._due.get(owner) == due:
                del self._due[owner]
                found.append(owner)
        return found

    def next(self) -> float | None:
        """Return the earliest time, or None if nobody is due ever."""
        while self._heap and self._due.get(self._heap[0][1]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None
