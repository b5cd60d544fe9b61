"""The form that curves of slowdown and power have, by power limit: what the energy model and its fit share.

With x the power at the found limit over the limit, and d its value at the found limit, the logarithm of slowdown is a
sum of x^k - d^k for a few powers k, and the logarithm of power a sum of functions that fall once the limit comes near
the draw: bursts meet a limit before the mean does. Power goes with a power of the clock, and time with its inverse, so
that time goes with some power of x; the highest say where a board that can lower its clock no further stalls.

What must hold: every function is exactly 0 at the found limit, and moves in one direction only as the limit falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

REFERENCE = 2.0
"""The x at which a power of it counts as 1: a limit of half of the draw. It makes coefficients readable, no more."""


@dataclass(frozen=True, slots=True)
class Form:
    """Which functions there are.

    Attributes:
        powers: Those of slowdown: the powers of x.
        hinges: Those of power: limits over the draw below which each falls.
        width: How gently it begins to, in the same unit.
        missed_from: The log slowdown from which on curves miss it by the more, the more it is: near a stall a workload
            is least like others, and what it does there tells little of what it does where it is hardly slower.
    """

    powers: tuple[float, ...]
    hinges: tuple[float, ...]
    width: float
    missed_from: float

    @property
    def size(self) -> int:
        """How many coefficients a workload has: those of slowdown first, then those of power."""
        return len(self.powers) + len(self.hinges)

    def functions(self, shares: Array, draw: float, deepest: float = np.inf) -> Array:
        """Return the functions, one a column: rows of slowdown for all limits first, then rows of power.

        Args:
            shares: Power limits over the found one.
            draw: Power at the found limit, over that limit.
            deepest: The largest x at which slowdown still grows: what lies beyond the measurements is not extrapolated.
        """
        count, first = len(shares), len(self.powers)
        found = np.zeros((2 * count, self.size))
        ratio = np.minimum(draw / shares, deepest) / REFERENCE
        at_found = min(draw, deepest) / REFERENCE
        for column, power in enumerate(self.powers):
            found[:count, column] = ratio**power - at_found**power
        for column, hinge in enumerate(self.hinges, start=first):
            found[count:, column] = self._fall(hinge - shares / draw) - self._fall(hinge - 1 / draw)
        return found

    def missed(self, log_slowdown: Array) -> Array:
        """Return by what the variance that curves leave of slowdown is larger than where no limit binds."""
        return np.asarray(1 + (log_slowdown / self.missed_from) ** 2, dtype=np.float64)

    def _fall(self, distance: Array | float) -> Array:
        soft = np.logaddexp(0.0, np.asarray(distance, dtype=np.float64) / self.width)
        return np.asarray(self.width * soft, dtype=np.float64)


def mean_terms(draw: float, count: int) -> Array:
    """Return the terms of the coefficients' means, which are polynomials of the draw."""
    return np.array([draw**power for power in range(count)])
