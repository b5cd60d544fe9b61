"""Figures as people read them."""

from __future__ import annotations

import pytest

from ballast.simulate.comparison.comparison import Interval
from ballast.simulate.report.units import Quantity, Unit, duration_text


@pytest.mark.parametrize(
    ("quantity", "largest", "told"),
    [
        (Quantity.ENERGY, 3.6e5 - 1, "Wh"),
        (Quantity.ENERGY, 3.6e5, "kWh"),
        (Quantity.ENERGY, 3.6e10, "MWh"),
        (Quantity.TIME, 119.0, "s"),
        (Quantity.TIME, 7199.0, "min"),
        (Quantity.TIME, 7200.0, "h"),
        (Quantity.MASS, 999.0, "g"),
        (Quantity.MASS, 1e7, "t"),
        (Quantity.POWER, 2e3, "kW"),
        (Quantity.MONEY, 1e9, ""),
    ],
)
def test_a_column_has_the_unit_of_its_largest_value(quantity: Quantity, largest: float, told: str) -> None:
    assert Unit.of(quantity, [0.0, -largest / 2, largest]).name == told


@pytest.mark.parametrize(("largest", "decimals"), [(99.0, 2), (100.0, 1), (1000.0, 0)])
def test_large_values_have_fewer_decimals(largest: float, decimals: int) -> None:
    assert Unit.of(Quantity.MONEY, [largest]).decimals == decimals


def test_counts_have_decimals_only_where_they_are_means() -> None:
    assert Unit.of(Quantity.COUNT, [3.0, 4.0]).decimals == 0
    assert Unit.of(Quantity.COUNT, [3.0, 4.5]).decimals == 1


def test_a_value_is_written_with_its_spread_unless_it_has_none_or_it_is_not_wanted() -> None:
    unit = Unit("kWh", 3.6e6, 2)
    value = Interval(3.6e9, 1.8e6, 3)
    assert unit.write(value) == "1,000.00 ± 0.50"
    assert unit.write(value, spread=False) == "1,000.00"
    assert unit.write(Interval(3.6e6, None, 1)) == "1.00"
    assert unit.write(None) == "-"


def test_nothing_is_minus_zero_and_a_sign_is_written_where_wanted() -> None:
    unit = Unit("%", 1.0, 1)
    assert unit.write(Interval(-0.04, None, 1)) == "0.0"
    assert unit.write(Interval(2.0, None, 1), signed=True) == "+2.0"
    assert unit.write(Interval(0.0, None, 1), signed=True) == "0.0"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "0 s"),
        (99.4, "99 s"),
        (99.6, "2 min"),
        (5969.0, "99 min"),
        (5970.0, "1 h 40 min"),
        (48 * 3600.0 - 60, "47 h 59 min"),
        (48 * 3600.0, "2 d 0 h"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration_text(seconds) == told
