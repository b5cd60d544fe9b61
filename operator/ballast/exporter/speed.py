"""How fast a count grows, over the last minutes; and counts that begin anew when a process does.

What must hold: a speed is of one run without a break. When the count falls (a trainer went back to its checkpoint, or
began anew) what was before says nothing of what comes, so the estimate begins anew; when nothing is told for long there
is none. The number of points is bounded, however often is reported.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

WINDOW_SECONDS: Final = 120.0
"""Long enough to take in what happens now and then, such as evaluations and checkpoints."""
POINT_SECONDS: Final = WINDOW_SECONDS / 24
LEAST_SECONDS: Final = 1.0
"""A speed over less is noise."""
SILENT_INTERVALS: Final = 3
"""So many times the longest pause between two reports is silence, if it is longer than the window."""


class Speed:
    """Estimates how fast a count grows, from reports of it."""

    def __init__(self) -> None:
        self._points: deque[tuple[float, float]] = deque()

    def add(self, at: float, count: float) -> None:
        """Take a report.

        Args:
            at: when, in seconds that only pass.
            count: how far.
        """
        points = self._points
        if points and (count < points[-1][1] or at < points[-1][0]):
            points.clear()
        if len(points) >= 2 and points[-1][0] - points[-2][0] < POINT_SECONDS:
            points.pop()
        points.append((at, count))
        # What is left reaches back over the whole window, if there are points that old.
        while len(points) > 2 and points[1][0] <= at - WINDOW_SECONDS:
            points.popleft()

    def per_second(self, now: float) -> float | None:
        """Return the speed; None if it is not known, or no more."""
        if len(self._points) < 2:
            return None
        (began, before), (ended, after) = self._points[0], self._points[-1]
        if ended - began < LEAST_SECONDS or now - ended > self._silence():
            return None
        return (after - before) / (ended - began)

    def _silence(self) -> float:
        times = [at for at, _ in self._points]
        longest = max(after - before for before, after in pairwise(times))
        return max(WINDOW_SECONDS, SILENT_INTERVALS * longest)


@dataclass(slots=True)
class Counted:
    """A total over processes that each count from 0.

    Attributes:
        total: never falls.
        last: what the present process told last.
    """

    total: float = 0.0
    last: float = 0.0

    def take(self, value: float) -> None:
        """Take what a process has counted; less than before means that it is another process."""
        self.total += value - self.last if value >= self.last else value
        self.last = value

    def to_json(self) -> list[float]:
        """Return it as it is saved."""
        return [self.total, self.last]

    @classmethod
    def from_json(cls, saved: list[Any]) -> Counted:
        """Return what was saved.

        Raises:
            ValueError, TypeError: it is not what `to_json` gives.
        """
        total, last = saved
        return cls(float(total), float(last))
