"""The energy counter is what counts; power is added up where there is none, and nothing is known without either."""

from __future__ import annotations

import pytest

from ballast.agent.metering.gpu_meter import GpuMeter
from ballast.api.readings import Source
from tests.unit.agent.metering.readings import Board, joules, metered


def test_the_counter_goes_before_a_sensor_that_misses_half() -> None:
    board, meter = Board(watts=200), GpuMeter()
    board.sensor_factor = 0.5
    intervals = metered(meter, [board.sample(), *(board.after(1) for _ in range(10))])
    assert joules(intervals) == pytest.approx(board.joules)
    assert {interval.source for interval in intervals} == {Source.COUNTER}


def test_without_a_counter_power_is_added_up_by_trapezoids() -> None:
    board, meter = Board(watts=100, counter=None), GpuMeter()
    meter.add(board.sample())
    board.watts = 300
    interval = meter.add(board.after(2))
    assert interval is not None
    assert (interval.joules, interval.seconds, interval.source) == (400.0, 2.0, Source.INTEGRAL)


def test_the_first_reading_says_nothing() -> None:
    assert GpuMeter().add(Board().sample()) is None


def test_a_reading_of_the_same_moment_says_nothing() -> None:
    board, meter = Board(), GpuMeter()
    meter.add(board.sample())
    assert meter.add(board.sample()) is None


def test_without_counter_and_power_nothing_is_counted_but_the_seconds() -> None:
    board, meter = Board(counter=None, tells_power=False), GpuMeter()
    assert metered(meter, [board.sample(), board.after(1), board.after(2)]) == []
    assert meter.unmetered_seconds == 3


def test_a_counter_that_comes_late_is_used_from_then_on() -> None:
    board, meter = Board(counter=None), GpuMeter()
    intervals = metered(meter, [board.sample(), board.after()])
    board.counter = 5e6
    intervals += metered(meter, [board.after(), board.after()])
    assert [interval.source for interval in intervals] == [Source.INTEGRAL, Source.INTEGRAL, Source.COUNTER]
    assert joules(intervals) == pytest.approx(board.joules)


def test_a_counter_that_moves_less_often_than_it_is_read_loses_nothing() -> None:
    board, meter = Board(watts=250), GpuMeter()
    samples = [board.sample()]
    truth = board.counter or 0.0
    for number in range(40):
        board.counter = truth  # it moved when it was read, at every fourth time
        sample = board.after(0.025)
        truth += 250 * 0.025
        board.counter = truth if number % 4 == 3 else sample.energy_joules
        if number % 4 != 3:
            board.counter = samples[-1].energy_joules
        samples.append(board.sample())
        board.counter = truth
    intervals = metered(meter, samples)
    assert joules(intervals) == pytest.approx(250)
    assert (meter.stalls, meter.resets, meter.disagreements) == (0, 0, 0)
