"""Measurements become one point: means, deviations, and an error that neither luck nor mistakes make too small."""

from __future__ import annotations

import math
import statistics
from functools import reduce

import pytest

from ballast.api.energyprofile import MeasuredPoint
from ballast.decide.learning.profile_points import (
    LEAST_ERROR,
    MAX_WEIGHT_SECONDS,
    ONE_ERROR,
    POOLED_SAMPLES,
    comparable,
    contradicts,
    joules_per_step,
    merged,
    point_of,
    samples_of,
    speed_error,
)
from ballast.decide.model.known_limits import Trust, pooled
from tests.auto_builders import BOARD, CLOCK, measured_point, measurement


def one(speed: float = 10.0, watts: float = 280.0, seconds: float = 30.0) -> MeasuredPoint:
    found = point_of(measurement(300.0, speed, watts, seconds=seconds))
    assert found is not None
    return found


def test_a_measurement_is_a_point_of_one_sample() -> None:
    found = point_of(measurement(250.0, 8.0, 230.0, gpus=4, seconds=40.0))
    assert found is not None
    assert found.operating_point == (4, 250.0, CLOCK)
    assert (found.steps_per_second, found.watts_per_gpu, found.samples) == pytest.approx((8.0, 230.0, 1))
    assert (found.steps_per_second_deviation, found.measured_seconds) == (None, 40.0)
    assert joules_per_step(found) == pytest.approx(4 * 230 / 8)


@pytest.mark.parametrize(
    "broken",
    [
        measurement(speed=0.0),
        measurement(seconds=0.0),
        measurement(speed=math.inf),
        measurement(ended=1e13),
        measurement(draw=-1.0),
        measurement(draw=1e6),
        measurement(watts=0.0),
        measurement(gpus=0),
        measurement(speed=math.nan),
    ],
    ids=str,
)
def test_what_no_profile_can_hold_is_no_point(broken: object) -> None:
    assert point_of(broken) is None  # type: ignore[arg-type]


def test_equal_measurements_have_the_mean_and_deviation_of_their_values() -> None:
    speeds, watts = [10.0, 10.4, 9.7, 10.1, 9.9], [280.0, 282.0, 279.0, 285.0, 281.0]
    found = reduce(merged, [one(speed, draw) for speed, draw in zip(speeds, watts, strict=True)])
    assert found.steps_per_second == pytest.approx(statistics.mean(speeds))
    assert found.steps_per_second_deviation == pytest.approx(statistics.stdev(speeds))
    assert found.watts_per_gpu == pytest.approx(statistics.mean(watts))
    assert found.watts_per_gpu_deviation == pytest.approx(statistics.stdev(watts))
    assert (found.samples, found.measured_seconds) == (5, 150.0)


def test_a_long_measurement_weighs_more() -> None:
    found = merged(one(10.0, seconds=30.0), one(13.0, seconds=60.0))
    assert found.steps_per_second == pytest.approx(12.0)


def test_what_was_measured_for_days_still_follows_slow_change() -> None:
    old = measured_point(300.0, 10.0, samples=100_000, measured_seconds=3e6)
    found = merged(old, one(11.0, seconds=MAX_WEIGHT_SECONDS))
    assert found.steps_per_second == pytest.approx(10.5)
    assert found.measured_seconds == 3e6 + MAX_WEIGHT_SECONDS


def test_the_error_of_one_measurement_is_stated_and_falls_with_more() -> None:
    assert speed_error(one()) == ONE_ERROR
    errors = [speed_error(reduce(merged, [one()] * count)) for count in (1, 2, 4, 9)]
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] > LEAST_ERROR


def test_two_that_agree_by_luck_are_not_exact() -> None:
    assert speed_error(merged(one(10.0), one(10.0))) > ONE_ERROR / 2


def test_the_error_has_a_floor() -> None:
    assert speed_error(measured_point(300.0, samples=10**9, steps_per_second_deviation=0.0)) == LEAST_ERROR


def test_phases_show_in_the_error() -> None:
    found = reduce(merged, [one(10.0), one(8.0), one(10.0), one(8.0)])
    assert speed_error(found) > 0.04


@pytest.mark.parametrize(
    ("samples", "count"), [(1, 1), (3, 3), (POOLED_SAMPLES, POOLED_SAMPLES), (400, POOLED_SAMPLES)]
)
def test_a_point_counts_as_few_samples_that_together_have_its_error(samples: int, count: int) -> None:
    point = measured_point(250.0, 10.0, samples=samples, steps_per_second_deviation=0.3)
    found = samples_of([point], BOARD)
    assert len(found) == count
    pool = pooled(found)[250]
    assert pool.sample.error == pytest.approx(speed_error(point))
    assert pool.sample.work_per_second == pytest.approx(10.0)
    assert Trust().settled(pool) == (count == POOLED_SAMPLES)


def test_points_outside_the_range_to_choose_from_tell_nothing() -> None:
    assert samples_of([measured_point(350.0), measured_point(90.0)], BOARD) == ()


def test_a_limit_that_a_board_rounded_is_within_its_range() -> None:
    [sample, *_] = samples_of([measured_point(300.4)], BOARD)
    assert sample.limit_watts == 300.0


@pytest.mark.parametrize(
    ("speed", "watts", "strange"),
    [(10.2, 285.0, False), (10.4, 285.0, False), (11.0, 285.0, True), (9.0, 285.0, True), (10.0, 310.0, True)],
)
def test_a_well_known_point_is_contradicted_by_what_is_far_from_it(speed: float, watts: float, strange: bool) -> None:
    assert contradicts(measured_point(300.0, 10.0, 285.0), one(speed, watts)) == strange


def test_a_point_that_scatters_is_not_contradicted_by_its_own_phases() -> None:
    assert not contradicts(measured_point(300.0, 10.0, 285.0, steps_per_second_deviation=1.0), one(8.0, 285.0))


def test_few_measurements_are_contradicted_by_none() -> None:
    assert not contradicts(measured_point(300.0, samples=3), one(1.0))


def test_only_gangs_of_the_same_size_without_locked_clocks_are_compared() -> None:
    mine, other, locked = measured_point(300.0), measured_point(300.0, gpus=2), measured_point(250.0)
    locked = locked.model_copy(update={"max_clock_hertz": CLOCK // 2})
    assert comparable([mine, other, locked], 1, CLOCK) == (mine,)
    assert comparable([mine, other, locked], 1, None) == (mine,)
    assert comparable([locked], 1, CLOCK) == ()
