"""Time goes on steadily, whatever becomes of the wall clock; a step is told once."""

from __future__ import annotations

import logging
import time

import pytest

from ballast.clock import LARGE_OFFSET_SECONDS, SteadyClock, steady_seconds

EPOCH = 1_800_000_000.0


class Clocks:
    """A wall clock that jumps, and seconds that pass."""

    def __init__(self) -> None:
        self.wall, self.steady = EPOCH, 17.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.steady)

    def pass_(self, seconds: float) -> None:
        self.wall += seconds
        self.steady += seconds


def test_it_starts_at_the_wall_clocks_time_and_goes_on_with_it() -> None:
    clocks = Clocks()
    clocks.pass_(42)
    assert clocks.clock.now() == EPOCH + 42
    assert clocks.clock.offset_seconds() == 0


@pytest.mark.parametrize("step", [3_600.0, -3_600.0])
def test_a_step_of_the_wall_clock_does_not_move_it(step: float) -> None:
    clocks = Clocks()
    clocks.wall += step
    clocks.pass_(10)
    assert clocks.clock.now() == EPOCH + 10
    assert clocks.clock.offset_seconds() == step


def test_a_step_is_told_once_and_again_after_it_was_undone(caplog: pytest.LogCaptureFixture) -> None:
    clocks = Clocks()
    for step, told in ((0, 0), (-7_200, 1), (0, 1), (7_200, 1), (3_600, 2), (0, 2)):
        clocks.wall += step
        clocks.clock.check()
        assert len(caplog.records) == told
    assert caplog.records[0].levelno == logging.WARNING
    assert vars(caplog.records[0])["offset_seconds"] == -7_200


def test_a_small_correction_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    clocks = Clocks()
    clocks.wall += LARGE_OFFSET_SECONDS
    clocks.clock.check()
    assert not caplog.records


def test_the_steady_seconds_do_not_depend_on_the_time_of_day(monkeypatch: pytest.MonkeyPatch) -> None:
    before = steady_seconds()
    monkeypatch.setattr(time, "time", lambda: 0.0)
    assert before <= steady_seconds() < before + 3_600
