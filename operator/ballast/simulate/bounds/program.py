"""A linear program with whole numbers, built row by row and handed to HiGHS.

What must hold: what comes back is either proven or says by how much it may be off; nothing is returned that the solver
calls unfinished.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from scipy import optimize, sparse  # type: ignore[import-untyped]  # it ships no types

from ballast.errors import UserError

Terms: TypeAlias = Iterable[tuple[int, float]]
TIME_WAS_UP, INFEASIBLE = 1, 2  # scipy's


@dataclass(frozen=True, slots=True)
class Solution:
    """The best that was found.

    Attributes:
        values: By variable.
        cost: Of these values.
        bound: No values cost less.
        proven: Whether the search came to its end, so that cost and bound are the same but for the solver's tolerance.
    """

    values: tuple[float, ...]
    cost: float
    bound: float
    proven: bool


@dataclass(slots=True)
class Program:
    """Variables with their cost, and rows that bind them; minimized."""

    costs: list[float] = field(default_factory=list)
    lows: list[float] = field(default_factory=list)
    highs: list[float] = field(default_factory=list)
    whole: list[int] = field(default_factory=list)
    _entries: tuple[list[int], list[int], list[float]] = field(default_factory=lambda: ([], [], []))
    _row_lows: list[float] = field(default_factory=list)
    _row_highs: list[float] = field(default_factory=list)

    def variable(self, low: float = 0.0, high: float = math.inf, cost: float = 0.0) -> int:
        """Add a variable between two bounds and return its number."""
        self.costs.append(cost)
        self.lows.append(low)
        self.highs.append(high)
        self.whole.append(0)
        return len(self.costs) - 1

    def choice(self, cost: float = 0.0) -> int:
        """Add a variable that is 0 or 1 and return its number."""
        number = self.variable(0.0, 1.0, cost)
        self.whole[number] = 1
        return number

    def row(self, terms: Terms, low: float = -math.inf, high: float = math.inf) -> None:
        """Bind a sum of variables times numbers; a variable that occurs twice counts twice."""
        rows, columns, numbers = self._entries
        for column, number in terms:
            rows.append(len(self._row_lows))
            columns.append(column)
            numbers.append(number)
        self._row_lows.append(low)
        self._row_highs.append(high)

    def solve(self, seconds: float = math.inf, fixed: Mapping[int, float] | None = None) -> Solution | None:
        """Return the best values; None if there are none that keep all rows.

        Args:
            seconds: How long to search at most.
            fixed: Values that variables must have, by number.

        Raises:
            UserError: Nothing was found in that time.
        """
        lows, highs = np.array(self.lows), np.array(self.highs)
        for column, value in (fixed or {}).items():
            lows[column] = highs[column] = value
        rows, columns, numbers = self._entries
        matrix = sparse.csr_array((numbers, (rows, columns)), shape=(len(self._row_lows), len(self.costs)))
        found = optimize.milp(
            np.array(self.costs),
            integrality=np.array(self.whole),
            bounds=optimize.Bounds(lows, highs),
            constraints=optimize.LinearConstraint(matrix, self._row_lows, self._row_highs),
            options={"mip_rel_gap": 0.0} | ({"time_limit": seconds} if math.isfinite(seconds) else {}),
        )
        if found.status == INFEASIBLE:
            return None
        if found.x is None:
            raise UserError(
                f"the solver found nothing in {seconds:g} s ({found.message}): allow it more, or take fewer jobs"
            )
        bound = found.mip_dual_bound if any(self.whole) else found.fun
        return Solution(tuple(map(float, found.x)), float(found.fun), float(bound), found.status != TIME_WAS_UP)
