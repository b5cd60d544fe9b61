"""Speeds are of one run without a break, and are not told after a long silence."""

from __future__ import annotations

import pytest

from ballast.exporter.speed import WINDOW_SECONDS, Counted, Speed


def steady(speed: Speed, begin: float, seconds: int, per_second: float, first: float = 0.0) -> float:
    """Report once a second, and return when that ends."""
    for second in range(seconds + 1):
        speed.add(begin + second, first + second * per_second)
    return begin + seconds


def test_one_report_tells_no_speed() -> None:
    speed = Speed()
    speed.add(10, 500)
    assert speed.per_second(10) is None


def test_a_resumed_training_is_not_fast() -> None:
    speed = Speed()
    now = steady(speed, 10, 30, per_second=2, first=5000)
    assert speed.per_second(now) == pytest.approx(2)


def test_a_moment_is_too_short() -> None:
    speed = Speed()
    speed.add(10, 0)
    speed.add(10.5, 100)
    assert speed.per_second(10.5) is None


def test_the_last_minutes_count() -> None:
    speed = Speed()
    now = steady(speed, 0, 600, per_second=10)
    now = steady(speed, now, int(WINDOW_SECONDS) + 10, per_second=1, first=6000)
    assert speed.per_second(now) == pytest.approx(1)


def test_a_pause_counts() -> None:
    """Evaluations take part of the time."""
    speed = Speed()
    now = steady(speed, 0, 10, per_second=2)
    speed.add(now + 10, 20)
    assert speed.per_second(now + 10) == pytest.approx(1)


@pytest.mark.parametrize("before", [90, 499])
def test_going_back_begins_anew(before: float) -> None:
    speed = Speed()
    now = steady(speed, 0, 50, per_second=10)
    now = steady(speed, now + 5, 20, per_second=4, first=before)
    assert speed.per_second(now) == pytest.approx(4)


def test_a_clock_that_went_back_begins_anew() -> None:
    speed = Speed()
    steady(speed, 1000, 50, per_second=10)
    now = steady(speed, 0, 20, per_second=4, first=600)
    assert speed.per_second(now) == pytest.approx(4)


def test_silence() -> None:
    speed = Speed()
    now = steady(speed, 0, 60, per_second=2)
    assert speed.per_second(now + WINDOW_SECONDS) == pytest.approx(2)
    assert speed.per_second(now + WINDOW_SECONDS + 1) is None


def test_rare_reports_are_no_silence() -> None:
    speed = Speed()
    speed.add(0, 0)
    speed.add(600, 60)
    assert speed.per_second(600 + 1700) == pytest.approx(0.1)
    assert speed.per_second(600 + 1900) is None


def test_the_number_of_points_is_bounded() -> None:
    speed = Speed()
    for number in range(100_000):
        speed.add(number * 0.01, number)
    assert len(speed._points) < 40
    assert speed.per_second(1000) == pytest.approx(100)


def test_a_process_that_begins_anew_counts_on() -> None:
    counted = Counted()
    for value in (100, 250, 250, 30, 80):
        counted.take(value)
    assert counted.total == 330
    assert Counted.from_json(counted.to_json()) == counted
