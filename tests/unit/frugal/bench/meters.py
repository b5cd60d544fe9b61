"""Meters for tests: what they tell is known beforehand."""

from __future__ import annotations

from collections.abc import Iterable

from frugal.bench.meters import MachineMeter
from frugal.bench.power_model import PowerModel


def estimating() -> MachineMeter:
    """Has no counter, as most virtual machines."""
    return MachineMeter([], PowerModel(cores=1))


class Counting:
    """A counter that moves by what it is told, at each reading, and stands still afterwards."""

    source = "made-up"

    def __init__(self, steps: Iterable[float]) -> None:
        self._steps = iter(steps)
        self._joules = 0.0
        self.readings = 0

    def joules(self) -> float:
        """The sum of the steps so far."""
        self.readings += 1
        self._joules += next(self._steps, 0.0)
        return self._joules
