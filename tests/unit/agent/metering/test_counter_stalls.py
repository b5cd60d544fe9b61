"""A counter that stands still under power is replaced by the integral, from where it stopped."""

from __future__ import annotations

import pytest

from ballast.agent.metering.gpu_meter import GpuMeter
from ballast.api.readings import Source
from tests.unit.agent.metering.readings import Board, joules, metered


def test_what_was_used_since_it_stopped_is_charged_by_the_integral() -> None:
    board, meter = Board(watts=200), GpuMeter()
    meter.add(board.sample())
    board.stands_still = True
    intervals = metered(meter, [board.after() for _ in range(10)])
    assert joules(intervals) == pytest.approx(board.joules)
    assert intervals[-1].source is Source.INTEGRAL
    assert meter.stalls == 1
    assert meter.problem is not None
    assert "stands still" in meter.problem


@pytest.mark.parametrize("catches_up", [False, True])
def test_when_it_moves_again_nothing_is_counted_twice(catches_up: bool) -> None:
    board, meter = Board(watts=200), GpuMeter()
    meter.add(board.sample())
    board.stands_still = True
    intervals = metered(meter, [board.after() for _ in range(10)])
    board.stands_still = False
    if catches_up:
        assert board.counter is not None
        board.counter += 10 * 200
    intervals += metered(meter, [board.after() for _ in range(10)])
    assert joules(intervals) == pytest.approx(board.joules)
    assert intervals[-1].source is Source.COUNTER
    assert meter.problem is None


def test_a_board_that_draws_nothing_may_stand_still() -> None:
    board, meter = Board(watts=0), GpuMeter()
    intervals = metered(meter, [board.sample(), *(board.after() for _ in range(20))])
    assert meter.stalls == 0
    assert joules(intervals) == 0


def test_a_reset_while_it_stands_still_loses_nothing() -> None:
    board, meter = Board(watts=200), GpuMeter()
    meter.add(board.sample())
    board.stands_still = True
    intervals = metered(meter, [board.after(), board.after()])
    board.reset()
    board.stands_still = False
    intervals += metered(meter, [board.after(), board.after()])
    assert joules(intervals) == pytest.approx(board.joules)
