"""What readings tell the energy model."""

from __future__ import annotations

import math
import time

import pytest

from ballast.decide.model.prediction import Sample
from tests.curve_builders import A40, V100, MadeUpCurve, fast, flat
from tests.unit.decide.curve_checks import MODEL, after, everywhere, reading, same


def test_a_reading_at_the_found_limit_tells_what_is_drawn_there() -> None:
    assert after(MadeUpCurve(draws=210.0), 300.0).at(300.0).watts == pytest.approx(210.0, rel=0.01)


def test_who_draws_little_is_hardly_slowed_by_a_limit_above_that() -> None:
    hungry, modest = after(MadeUpCurve(draws=275.0), 300.0).at(200.0), after(MadeUpCurve(draws=120.0), 300.0).at(200.0)
    assert modest.slowdown_percent < 1
    assert hungry.slowdown_percent > modest.slowdown_percent + 4
    assert modest.log_slowdown_sd < hungry.log_slowdown_sd


def test_who_draws_next_to_nothing_is_believed() -> None:
    curve = MODEL.curve(V100, (reading(250.0, watts=39.0),))
    for limit in (100.0, 150.0, 250.0):
        assert curve.at(limit).watts == pytest.approx(39.0, rel=0.03)
        assert curve.at(limit).slowdown_bound_percent(1.645) < 4


def test_readings_of_lower_limits_replace_the_prior() -> None:
    truth = fast()
    curve = after(truth, 300.0, 250.0, 200.0, 175.0, 150.0)
    for limit in (160.0, 190.0, 225.0, 275.0):
        off = curve.at(limit).log_slowdown - truth.true_log_slowdown(limit)
        assert abs(off) < 0.01
    # From one reading alone such a workload is unlikely.
    assert abs(after(truth, 300.0).at(160.0).log_slowdown - truth.true_log_slowdown(160.0)) > 0.05


def test_a_reading_lessens_doubt_about_its_neighbours() -> None:
    truth = MadeUpCurve()
    before, now = after(truth, 300.0), after(truth, 300.0, 200.0)
    for limit in (175.0, 190.0, 210.0, 225.0):
        assert now.at(limit).log_slowdown_sd < 0.8 * before.at(limit).log_slowdown_sd


def test_a_precise_reading_counts_more_than_a_rough_one() -> None:
    rough, precise = (
        MODEL.curve(A40, (reading(300.0, error=error), reading(200.0, slowdown=1.0, error=error)))
        for error in (0.1, 0.005)
    )
    assert precise.at(200.0).slowdown_percent < rough.at(200.0).slowdown_percent


def test_without_a_reading_at_the_found_limit_lower_ones_say_what_it_would_be() -> None:
    truth = fast()
    curve = after(truth, 150.0, 200.0, 250.0)
    unread = MODEL.curve(A40, ())
    for limit in (150.0, 200.0, 250.0):
        told = curve.at(limit)
        assert abs(told.log_slowdown - truth.true_log_slowdown(limit)) < 2 * told.log_slowdown_sd + 0.01
        assert told.log_slowdown_sd < unread.at(limit).log_slowdown_sd
    assert curve.at(300.0).watts == pytest.approx(truth.true_watts(300.0), rel=0.1)


@pytest.mark.parametrize("unit", [1e-9, 1e12])
def test_throughput_may_be_in_any_unit(unit: float) -> None:
    truth = fast(V100)
    assert same(after(truth, 250.0, 150.0, speed=1.0), after(truth, 250.0, 150.0, speed=unit), rel=1e-6)


def test_the_order_of_readings_makes_no_difference() -> None:
    samples = tuple(fast().measured(limit, off_by=off) for limit, off in ((300, 0.01), (150, -0.2), (200, 0.0)))
    assert same(MODEL.curve(A40, samples), MODEL.curve(A40, samples[::-1]), rel=0.0)


def test_readings_of_a_job_that_stood_still_tell_nothing() -> None:
    some = (reading(300.0), Sample(200.0, 0.0, 60.0), Sample(150.0, 80.0, 0.0))
    assert same(MODEL.curve(A40, some), MODEL.curve(A40, some[:1]))


def test_a_workload_that_no_limit_binds_saves_nothing_and_loses_nothing() -> None:
    limits = (300.0, 200.0, 150.0)
    # It draws 90 W: at 100 W bursts would meet the limit.
    for each in everywhere(after(flat(), *limits)):
        assert each.slowdown_percent < (1 if each.limit_watts >= 150 else 2)
        assert abs(each.saved_percent) < (2 if each.limit_watts >= 150 else 10)


def test_a_curve_takes_milliseconds() -> None:
    samples = tuple(fast().measured(limit) for limit in (100, 125, 150, 175, 200, 225, 250, 275, 300))
    seconds = []
    for _ in range(20):
        before = time.process_time()
        MODEL.curve(A40, samples)
        seconds.append(time.process_time() - before)
    assert min(seconds) < 0.02


def test_joules_are_time_times_power() -> None:
    curve = after(fast(), 300.0, 200.0)
    there, found = curve.at(200.0), curve.at(300.0)
    assert there.log_joules == pytest.approx(there.log_slowdown + math.log(there.watts / found.watts))
