"""The newest evaluations, numbered: what makes each one known to whoever reads now and then, or known to be missing.

What must hold: numbers count from 1; number n stands in slot n % `RING` until number n + `RING` comes, or never if its
value was lost before it came here. So the count alone says which number a slot holds, and whoever knows an older count
knows how many were missed.
"""

from __future__ import annotations

from collections import deque
from typing import Any

from ballast.api.exporter import RING
from ballast.api.finalreading import Evaluation, from_plain, to_plain


class Ring:
    """The newest `RING` evaluations, and how many there were."""

    def __init__(self) -> None:
        self._count = 0
        self._newest: deque[Evaluation] = deque()

    @property
    def count(self) -> int:
        """How many evaluations there were, over restarts of the exporter."""
        return self._count

    @property
    def newest(self) -> tuple[Evaluation, ...]:
        """Those of the last `RING` numbers whose values are known, oldest first."""
        return tuple(self._newest)

    def add(self, value: float, step: int | None, training_value: float | None) -> None:
        """Number an evaluation and keep it; the oldest goes if there is no slot left."""
        self.miss(1)
        self._newest.append(Evaluation(self._count, value, step, training_value))

    def miss(self, number: int) -> None:
        """Count so many evaluations whose values nobody told; they take slots that stay empty."""
        self._count += number
        while self._newest and self._newest[0].number <= self._count - RING:
            self._newest.popleft()

    def to_json(self) -> dict[str, Any]:
        """Return everything, as it is saved."""
        return {
            "count": self._count,
            "newest": [
                [each.number, to_plain(each.value), each.step, to_plain(each.training_value)] for each in self._newest
            ],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Ring:
        """Return what was saved.

        Raises:
            ValueError, KeyError, TypeError: it is not what `to_json` gives.
        """
        ring = cls()
        ring._count = int(saved["count"])
        oldest = ring._count - RING
        for number, value, step, training_value in saved["newest"]:
            if not oldest < int(number) <= ring._count:
                raise ValueError(f"evaluation {number!r} was saved with a count of {ring._count}: it cannot be there")
            oldest = int(number)
            other = None if training_value is None else from_plain(training_value)
            ring._newest.append(Evaluation(oldest, from_plain(value), None if step is None else int(step), other))
        return ring


def slot(number: int) -> int:
    """Return the slot in which an evaluation stands."""
    return number % RING
