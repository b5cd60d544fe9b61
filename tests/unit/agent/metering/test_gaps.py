"""Where readings are missing, a counter that went on is believed, and nothing else is."""

from __future__ import annotations

import pytest

from ballast.agent.device import Sample
from ballast.agent.metering.gpu_meter import GpuMeter
from ballast.api.readings import Source
from tests.unit.agent.metering.readings import Board, joules, metered


def test_what_the_counter_counted_meanwhile_is_charged_and_marked() -> None:
    board, meter = Board(watts=100), GpuMeter()
    meter.add(board.sample())
    meter.missed()
    interval = meter.add(board.after(60))
    assert interval is not None
    assert (interval.joules, interval.seconds, interval.gap) == (6000, 60, True)
    following = meter.add(board.after())
    assert following is not None
    assert not following.gap


def test_readings_far_apart_are_a_gap_too() -> None:
    board, meter = Board(), GpuMeter(longest_interval_seconds=5)
    meter.add(board.sample())
    interval = meter.add(board.after(5.5))
    assert interval is not None
    assert interval.gap


def test_a_board_that_comes_back_counting_from_zero_is_not_charged_for_the_gap() -> None:
    board, meter = Board(watts=100, counter=1e6), GpuMeter()
    meter.add(board.sample())
    meter.missed()
    board.reset()
    assert metered(meter, [board.after(60)]) == []
    assert meter.unmetered_seconds == 60
    assert joules(metered(meter, [board.after()])) == 100


def test_without_a_counter_a_long_gap_is_not_guessed() -> None:
    board, meter = Board(watts=100, counter=None), GpuMeter()
    meter.add(board.sample())
    meter.missed()
    assert metered(meter, [board.after(60)]) == []
    assert meter.unmetered_seconds == 60


def test_without_a_counter_a_single_reading_that_failed_is_bridged() -> None:
    board, meter = Board(watts=100, counter=None), GpuMeter()
    meter.add(board.sample())
    meter.missed()
    interval = meter.add(board.after(2))
    assert interval is not None
    assert (interval.joules, interval.source, interval.gap) == (200, Source.INTEGRAL, True)


def test_a_gap_while_the_counter_stood_still_is_not_charged_by_the_counter() -> None:
    board, meter = Board(watts=100), GpuMeter()
    meter.add(board.sample())
    board.stands_still = True
    charged = joules(metered(meter, [board.after() for _ in range(10)]))
    meter.missed()
    assert board.counter is not None
    board.counter += 1000  # it catches up what is charged already
    board.stands_still = False
    charged += joules(metered(meter, [board.after(60), board.after()]))
    assert charged == pytest.approx(1000 + 100)


def test_an_earlier_process_s_reading_is_gone_on_from_as_a_gap() -> None:
    meter = GpuMeter()
    meter.resume(Sample(at=10, energy_joules=500, power_watts=100))
    interval = meter.add(Sample(at=40, energy_joules=3500, power_watts=100))
    assert interval is not None
    assert (interval.joules, interval.gap) == (3000, True)
