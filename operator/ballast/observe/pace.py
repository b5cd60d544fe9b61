"""How fast the queue moves: GPUs given out per second over the last hour.

Measured, never assumed: without admissions to go by there is no pace, and nothing is predicted from it.
"""

from __future__ import annotations

from collections import deque

WINDOW_SECONDS = 3600.0
LEAST_SECONDS = 60.0
LEAST_ADMISSIONS = 5
SLOT_SECONDS = 10.0


class Pace:
    """Counts admissions in slots of a few seconds, so that what is kept does not grow with them."""

    def __init__(self) -> None:
        self._slots: deque[tuple[float, int, int]] = deque()  # start, admissions, GPUs
        self._admissions = self._gpus = 0  # of all slots

    def count(self, gpus: int, now: float) -> None:
        """Count an admission."""
        start = now - now % SLOT_SECONDS
        self._admissions += 1
        self._gpus += gpus
        if self._slots and self._slots[-1][0] >= start:
            slot, admissions, total = self._slots.pop()
            self._slots.append((slot, admissions + 1, total + gpus))
        else:
            self._slots.append((start, 1, gpus))

    def gpus_per_second(self, now: float) -> float | None:
        """Return the pace, or None while too few admissions or too short a time tell one."""
        while self._slots and self._slots[0][0] < now - WINDOW_SECONDS:
            _, admissions, gpus = self._slots.popleft()
            self._admissions -= admissions
            self._gpus -= gpus
        if self._admissions < LEAST_ADMISSIONS:
            return None
        seconds = now - self._slots[0][0]
        return self._gpus / seconds if seconds >= LEAST_SECONDS else None
