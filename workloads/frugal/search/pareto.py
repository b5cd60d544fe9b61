"""Trade-offs of accuracy against joules: which points no other beats in both, and how much of the plane they cover.

Pure: points in, points out. The arithmetic is Optuna's, which its samplers use too; it has no public name there, so
this is the only module that knows where it lives. Hypervolume as a measure of a front: Zitzler & Thiele,
"Multiobjective Evolutionary Algorithms: A Comparative Case Study and the Strength Pareto Approach" (1999).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class Point:
    """What one design reached.

    Attributes:
        accuracy: Share of held-out examples answered right; more is better.
        joules: Of whatever is minimized; less is better.
    """

    accuracy: float
    joules: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.accuracy) and math.isfinite(self.joules)):
            raise ValueError(f"{self}: both must be finite to be compared")


def front(points: Sequence[Point]) -> list[int]:
    """Places of the points that no other dominates, cheapest first; of equal points, the first alone.

    A point dominates another if it is no worse in both and better in one.
    """
    if not points:
        return []
    from optuna.study._multi_objective import _is_pareto_front

    beaten_by_none = _is_pareto_front(_losses(points), assume_unique_lexsorted=False)
    first: dict[Point, int] = {}
    for place in np.flatnonzero(beaten_by_none).tolist():
        first.setdefault(points[place], place)
    return sorted(first.values(), key=lambda place: points[place].joules)


def hypervolume(points: Sequence[Point], worst: Point) -> float:
    """Area between the front and ``worst``, in accuracy times joules; points that do not beat ``worst`` add nothing."""
    inside = [point for point in points if point.accuracy > worst.accuracy and point.joules < worst.joules]
    if not inside:
        return 0.0
    from optuna._hypervolume import compute_hypervolume

    return float(compute_hypervolume(_losses(inside), _losses([worst])[0]))


def _losses(points: Sequence[Point]) -> NDArray[np.float64]:
    """As Optuna compares them: less is better in every column. Adding 0 makes -0 and 0 the same number."""
    return np.array([[-point.accuracy, point.joules] for point in points], dtype=np.float64) + 0.0
