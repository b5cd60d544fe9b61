"""Fronts and hypervolumes: their properties for whatever points, and figures by hand."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.search.pareto import Point, front, hypervolume

# Few distinct values, so that equal points and ties in one of the two are common.
POINTS = st.lists(
    st.builds(
        lambda accuracy, joules: Point(accuracy=accuracy / 8, joules=joules / 4),
        st.integers(0, 8),
        st.integers(0, 12),
    ),
    max_size=12,
)
QUICK = settings(max_examples=60, deadline=None)
WORST = Point(accuracy=-0.5, joules=4.0)


def _dominates(one: Point, other: Point) -> bool:
    no_worse = one.accuracy >= other.accuracy and one.joules <= other.joules
    return no_worse and one != other


@QUICK
@given(POINTS)
def test_front_is_what_nothing_dominates_and_dominates_or_equals_the_rest(points: list[Point]) -> None:
    places = front(points)
    chosen = [points[place] for place in places]
    assert not any(_dominates(other, one) for one in chosen for other in points)
    for point in points:
        assert point in chosen or any(_dominates(one, point) for one in chosen)


@QUICK
@given(POINTS)
def test_front_rises_from_cheap_and_poor_to_costly_and_good_and_names_the_first_of_equals(points: list[Point]) -> None:
    places = front(points)
    chosen = [points[place] for place in places]
    for cheap, costly in pairwise(chosen):
        assert cheap.joules < costly.joules
        assert cheap.accuracy < costly.accuracy
    assert all(points.index(points[place]) == place for place in places)


@QUICK
@given(POINTS)
def test_hypervolume_is_the_area_that_the_front_covers(points: list[Point]) -> None:
    # Counted in cells of the grid that all the points lie on.
    cells = sum(
        any(point.accuracy >= (row + 1) / 8 and point.joules <= column / 4 for point in points)
        for row in range(-4, 8)
        for column in range(16)
    )
    assert hypervolume(points, WORST) == pytest.approx(cells / 32, abs=1e-9)


@QUICK
@given(POINTS, POINTS)
def test_more_points_never_cover_less_and_dominated_ones_add_nothing(points: list[Point], more: list[Point]) -> None:
    covered = hypervolume(points, WORST)
    assert hypervolume([*points, *more], WORST) >= covered - 1e-9
    assert hypervolume([points[place] for place in front(points)], WORST) == pytest.approx(covered, abs=1e-9)


def test_a_point_that_does_not_beat_the_worst_adds_nothing() -> None:
    assert hypervolume([Point(accuracy=1.0, joules=5.0), Point(accuracy=-1.0, joules=1.0)], WORST) == 0.0


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_cannot_be_compared_is_no_point(value: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        Point(accuracy=0.5, joules=value)
