"""The benchmarks' arithmetic, on figures that are known."""

from __future__ import annotations

import math

import pytest

from tests.bench.figures import gap_percent, growth_exponent, percentile


def test_a_percentile_is_a_value_that_was_measured() -> None:
    values = [float(value) for value in range(200, 0, -1)]
    assert percentile(values, 99) == 198.0
    assert percentile(values, 50) == 100.0
    assert percentile(values, 100) == 200.0


def test_the_percentile_of_few_values_is_the_largest() -> None:
    assert percentile([3.0, 1.0, 2.0], 99) == 3.0


@pytest.mark.parametrize(("values", "percent"), [([], 99.0), ([1.0], 0.0), ([1.0], 101.0)])
def test_a_percentile_of_nothing_is_refused(values: list[float], percent: float) -> None:
    with pytest.raises(ValueError, match="give values"):
        percentile(values, percent)


@pytest.mark.parametrize("exponent", [0.0, 1.0, 1.15, 2.0])
def test_the_exponent_of_a_power_is_found(exponent: float) -> None:
    assert growth_exponent([(size, 0.003 * size**exponent) for size in (100, 1000, 10_000)]) == pytest.approx(exponent)


def test_the_exponent_is_the_least_squares_one() -> None:
    # In logarithms to base ten: 0, 0 and 3 at 2, 3 and 4, whose line has the slope 3/2.
    assert growth_exponent([(100, 1.0), (1000, 1.0), (10_000, 1000.0)]) == pytest.approx(1.5)


def test_a_gap_is_a_share_of_the_optimum() -> None:
    assert gap_percent(103.0, 100.0) == pytest.approx(3.0)
    assert gap_percent(100.0, 100.0) == 0.0


def test_rounding_is_no_gap() -> None:
    assert gap_percent(100.0 - 1e-7, 100.0) == 0.0


def test_where_nothing_costs_anything_there_is_no_gap() -> None:
    assert gap_percent(0.0, 0.0) == 0.0
    assert gap_percent(1.0, 0.0) == math.inf


def test_a_cost_below_the_optimum_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="count differently"):
        gap_percent(99.0, 100.0)
