"""Counter and integral that disagree for longer are counted and told; the scatter of readings is no disagreement."""

from __future__ import annotations

import random

import pytest

from ballast.agent.metering.gpu_meter import WINDOWS_OF_A_PROBLEM, GpuMeter
from tests.unit.agent.metering.readings import Board, joules, metered


@pytest.mark.parametrize("hertz", [1, 10])
@pytest.mark.parametrize("factor", [0.9, 1.1])
def test_a_sensor_that_is_off_by_a_tenth_is_found(factor: float, hertz: int) -> None:
    board, meter = Board(watts=200), GpuMeter(window_seconds=10)
    board.sensor_factor = factor
    samples = [board.sample(), *(board.after(1 / hertz) for _ in range(hertz * 10 * (WINDOWS_OF_A_PROBLEM + 1)))]
    assert joules(metered(meter, samples)) == pytest.approx(board.joules)
    assert meter.disagreements >= WINDOWS_OF_A_PROBLEM
    assert meter.problem is not None
    assert "disagree" in meter.problem


def test_one_window_is_counted_and_is_no_problem_yet() -> None:
    board, meter = Board(watts=200), GpuMeter(window_seconds=10)
    board.sensor_factor = 1.2
    metered(meter, [board.sample(), *(board.after() for _ in range(10))])
    assert meter.disagreements == 1
    assert meter.problem is None


def test_a_problem_is_over_when_they_agree_again() -> None:
    board, meter = Board(watts=200), GpuMeter(window_seconds=10)
    board.sensor_factor = 1.2
    metered(meter, [board.sample(), *(board.after() for _ in range(40))])
    board.sensor_factor = 1.0
    metered(meter, [board.after() for _ in range(30)])
    assert meter.problem is None


def test_within_the_tolerance_they_agree() -> None:
    board, meter = Board(watts=200), GpuMeter(window_seconds=10)
    board.sensor_factor = 1.03
    metered(meter, [board.sample(), *(board.after() for _ in range(100))])
    assert meter.disagreements == 0


def test_a_load_that_comes_and_goes_is_rarely_counted_and_no_problem() -> None:
    """A sensor that is read once a second sees some of the steps of a fast load, and misses others."""
    chance = random.Random(7)  # noqa: S311 - no secret
    board, meter = Board(watts=200), GpuMeter()
    meter.add(board.sample())
    for _ in range(2000):
        board.watts = 200  # the mean, which is what the counter counts
        board.after()
        board.watts = chance.choice((60, 340))  # what the sensor happens to see
        meter.add(board.sample())
        assert meter.problem is None
    assert meter.disagreements <= 0.1 * 2000 / 20
