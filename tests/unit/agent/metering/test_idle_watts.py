"""Idle power is measured while nothing runs, and not before; until then the lowest power seen stands in."""

from __future__ import annotations

from ballast.agent.metering.gpu_meter import LEAST_IDLE_READINGS, SETTLING_SECONDS, IdleWatts


def run(idle: IdleWatts, watts: float, seconds: int, start: float = 0.0, *, is_idle: bool) -> None:
    for second in range(seconds):
        idle.add(start + second, watts, is_idle=is_idle)


def test_it_is_unknown_until_measured() -> None:
    idle = IdleWatts()
    assert idle.measured is None
    assert idle.watts == 0
    run(idle, 50, LEAST_IDLE_READINGS - 1, is_idle=True)
    assert idle.measured is None
    run(idle, 50, 1, is_idle=True)
    assert idle.measured == idle.watts == 50


def test_under_load_the_lowest_power_stands_in() -> None:
    idle = IdleWatts()
    run(idle, 300, 5, is_idle=False)
    run(idle, 120, 5, is_idle=False)
    run(idle, 300, 100, is_idle=False)
    assert (idle.measured, idle.watts) == (None, 120)


def test_a_bound_that_is_known_stands_in_for_a_gpu_that_was_never_seen_without_load() -> None:
    idle = IdleWatts(most=60)
    run(idle, 300, 5, is_idle=False)
    assert idle.watts == 60


def test_after_load_the_sensor_must_settle() -> None:
    idle = IdleWatts()
    run(idle, 300, 10, is_idle=False)
    run(idle, 200, int(SETTLING_SECONDS) - 1, start=10, is_idle=True)
    run(idle, 40, 60, start=9 + SETTLING_SECONDS, is_idle=True)
    assert idle.measured == 40


def test_a_few_high_readings_do_not_matter() -> None:
    idle = IdleWatts()
    for second in range(60):
        idle.add(second, 90 if second % 3 == 0 else 40, is_idle=True)
    assert idle.measured == 40


def test_a_board_in_reset_is_no_measure() -> None:
    idle = IdleWatts()
    run(idle, 0, 60, is_idle=True)
    assert (idle.measured, idle.watts) == (None, 0)


def test_what_was_measured_before_holds_until_it_is_measured_anew() -> None:
    idle = IdleWatts(measured=45)
    run(idle, 300, 10, is_idle=False)
    assert idle.watts == 45
    run(idle, 40, 60, start=100, is_idle=True)
    assert idle.measured == 40
