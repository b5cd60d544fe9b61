"""Which points a text means, and which are refused."""

from __future__ import annotations

import dataclasses

import pytest

from frugal.errors import ConfigError
from frugal.sweep.points import DEFAULT, OperatingPoint, parse
from tests.unit.frugal.sweep.builders import limits, plain_board


def test_power_limits_go_evenly_from_what_was_found_to_the_least() -> None:
    """Not from the maximum: 300 W were possible, 250 W were found."""
    assert parse("power:4", plain_board()) == limits(250, 200, 150, 100)


def test_the_default_is_seven_power_limits() -> None:
    assert len(parse(DEFAULT, plain_board())) == 7


def test_clocks_go_down_from_the_highest_which_is_no_lock() -> None:
    points = parse("clocks:4", plain_board())
    assert points[0] == plain_board().baseline
    clocks = [point.max_clock_mhz for point in points[1:]]
    assert clocks == [1125, 840, 555]
    assert all(point.power_limit_watts == 250 for point in points)


def test_single_points_are_taken_and_snapped_to_known_clocks() -> None:
    points = parse("150W, 1000MHz, 200W@1410MHz,125.5w@720mhz", plain_board())
    assert points == [
        OperatingPoint(power_limit_watts=250),
        OperatingPoint(power_limit_watts=250, max_clock_mhz=990),
        OperatingPoint(power_limit_watts=200),
        OperatingPoint(power_limit_watts=150),
        OperatingPoint(power_limit_watts=125.5, max_clock_mhz=720),
    ]


def test_no_point_comes_twice() -> None:
    assert parse("power:4,150W,250W,150W@1410MHz", plain_board()) == limits(250, 200, 150, 100)


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("99W", "100 to 250 W"),
        ("251W", "whoever set it must raise it first"),
        ("200MHz", "210 to 1410 MHz"),
        ("1500MHz", "210 to 1410 MHz"),
        ("power:1", "use 2 or more"),
        ("250W", "nothing to compare"),
        ("", "write power:7"),
        ("150", "write power:7"),
        ("150W@", "write power:7"),
        ("1.2.3W", "write power:7"),
    ],
)
def test_what_cannot_be_swept_is_refused_with_a_remedy(text: str, remedy: str) -> None:
    with pytest.raises(ConfigError, match=remedy):
        parse(text, plain_board())


def test_without_known_clocks_only_power_limits_are_taken() -> None:
    board = dataclasses.replace(plain_board(), clocks_mhz=())
    assert parse("power:2", board) == limits(250, 100)
    with pytest.raises(ConfigError, match="name power limits only"):
        parse("clocks:2", board)


@pytest.mark.parametrize("found", [100.3, 100.7, 101.6, 250.6])
def test_no_limit_of_a_row_is_above_what_was_found_by_rounding(found: float) -> None:
    board = dataclasses.replace(plain_board(), found_watts=found)
    assert all(100 <= point.power_limit_watts <= found for point in parse("power:400", board))
