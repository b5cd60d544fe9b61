"""Counter and integral are compared between steps of the counter, whatever lies before and after."""

from __future__ import annotations

import pytest

from ballast.agent.check.check import course_of, integral
from ballast.agent.device import Sample


def readings(seconds: float, watts: float, step_seconds: float | None = 0.1) -> list[Sample]:
    """A hundred readings a second of a board that draws a constant power."""
    found = []
    for number in range(round(seconds * 100) + 1):
        at = number / 100
        counted = None
        if step_seconds is not None:
            counted = watts * step_seconds * int(at / step_seconds + 1e-9)
        found.append(Sample(at=at, energy_joules=counted, power_watts=watts))
    return found


def test_a_constant_power_agrees_exactly() -> None:
    course = course_of(readings(2.05, 200.0))
    assert course.counter_joules == pytest.approx(200 * 1.9)
    assert course.integral_joules == pytest.approx(200 * 1.9)
    assert course.difference_percent == pytest.approx(0, abs=1e-9)
    assert course.mean_watts == pytest.approx(200)
    assert course.steps == 20
    assert course.step_milliseconds == pytest.approx(100)


def test_a_sensor_that_tells_too_much_shows() -> None:
    told = [
        Sample(at=reading.at, energy_joules=reading.energy_joules, power_watts=220.0)
        for reading in readings(2.0, 200.0)
    ]
    assert course_of(told).difference_percent == pytest.approx(10)


def test_a_counter_that_stands_still() -> None:
    still = [Sample(at=number / 100, energy_joules=5.0, power_watts=50.0) for number in range(301)]
    course = course_of(still)
    assert course.counter_joules == 0.0
    assert course.steps == 0
    assert course.step_milliseconds is None
    assert course.difference_percent is None
    assert course.integral_joules == pytest.approx(150)
    assert course.mean_watts == pytest.approx(50)


def test_without_a_counter_power_is_added_up() -> None:
    course = course_of(readings(1.0, 100.0, step_seconds=None))
    assert course.counter_joules is None
    assert course.integral_joules == pytest.approx(100)
    assert course.mean_watts == pytest.approx(100)


@pytest.mark.parametrize("count", [0, 1])
def test_hardly_any_reading_is_no_course(count: int) -> None:
    course = course_of([Sample(at=1.0, energy_joules=1.0, power_watts=1.0)] * count, "lost")
    assert course.mean_watts is None
    assert course.integral_joules is None
    assert course.problem == "lost"


def test_the_integral_is_by_trapezoids_of_the_times_read() -> None:
    assert integral([Sample(0.0, power_watts=0.0), Sample(2.0, power_watts=100.0), Sample(3.0, power_watts=100.0)]) == (
        pytest.approx(200)
    )
    assert integral([Sample(0.0, power_watts=0.0), Sample(2.0, power_watts=None)]) is None
