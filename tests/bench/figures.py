"""The arithmetic of figures: a percentile, the slope of a growth, a gap to an optimum; pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import linear_regression


def percentile(values: Sequence[float], percent: float) -> float:
    """Return the least value that at least so many percent of the values do not exceed (nearest rank).

    Raises:
        ValueError: there are no values, or the percentage is not above 0 and at most 100.
    """
    if not values or not 0 < percent <= 100:
        raise ValueError(f"{percent:g} % of {len(values)} values: give values, and above 0 to 100 %")
    return sorted(values)[math.ceil(percent / 100 * len(values)) - 1]


def growth_exponent(seconds_by_size: Sequence[tuple[float, float]]) -> float:
    """Return the exponent e of time ~ size^e: the slope of the least squares line through the logarithms.

    Args:
        seconds_by_size: (size, seconds) of at least two sizes; all above 0.
    """
    sizes = [math.log(size) for size, _ in seconds_by_size]
    seconds = [math.log(second) for _, second in seconds_by_size]
    return linear_regression(sizes, seconds).slope


def gap_percent(cost: float, optimum: float) -> float:
    """Return by how much a cost is above the optimum, in percent of the optimum; 0 where both are nothing.

    Raises:
        ValueError: the cost is below the optimum by more than rounding, so that one of them is wrong.
    """
    if cost < optimum - 1e-6 * max(abs(optimum), 1.0):
        raise ValueError(f"a cost of {cost:g} is below the optimum of {optimum:g}: the two count differently")
    if optimum <= 0:
        return 0.0 if cost <= 0 else math.inf
    return max(100 * (cost / optimum - 1), 0.0)
