"""A counter that falls, because the driver was loaded anew, loses nothing and counts nothing twice."""

from __future__ import annotations

import pytest

from ballast.agent.metering.gpu_meter import GpuMeter
from ballast.api.readings import Source
from tests.unit.agent.metering.readings import Board, joules, metered


def test_the_integral_counts_for_the_interval_of_the_reset() -> None:
    board, meter = Board(watts=150), GpuMeter()
    intervals = metered(meter, [board.sample(), board.after()])
    board.reset()
    intervals += metered(meter, [board.after(), board.after()])
    assert [interval.source for interval in intervals] == [Source.COUNTER, Source.INTEGRAL, Source.COUNTER]
    assert joules(intervals) == pytest.approx(board.joules) == 450
    assert meter.resets == 1


def test_a_counter_that_leaps_beyond_any_power_is_taken_for_reset() -> None:
    board, meter = Board(watts=150), GpuMeter()
    intervals = metered(meter, [board.sample()])
    board.reset(counter=9e9)
    intervals += metered(meter, [board.after(), board.after()])
    assert joules(intervals) == pytest.approx(board.joules) == 300
    assert meter.resets == 1


def test_without_power_the_interval_of_the_reset_is_not_charged() -> None:
    board, meter = Board(watts=150, tells_power=False), GpuMeter()
    meter.add(board.sample())
    board.reset()
    assert joules(metered(meter, [board.after(), board.after()])) == 150
    assert meter.unmetered_seconds == 1
