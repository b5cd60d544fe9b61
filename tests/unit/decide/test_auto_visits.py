"""What a job of mode Auto comes to when its limits are tried out and measured, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.auto_builders import BOARD, LATER, Trained
from tests.builders import at
from tests.curve_builders import fast, flat


def test_it_learns_a_point_that_saves_within_the_slowdown() -> None:
    trained = Trained()
    trained.live(25)
    assert 0 < trained.truth.true_slowdown_percent(trained.has_watts) <= 10.5
    assert trained.truth.true_log_joules(trained.has_watts) < -0.12
    assert trained.own is not None
    for point in trained.own.spec.points:
        assert point.steps_per_second == pytest.approx(
            trained.truth.measured(point.power_limit_watts).work_per_second, rel=0.01
        )


def test_what_no_limit_binds_is_moved_little_and_loses_nothing() -> None:
    trained = Trained(truth=flat(BOARD))
    trained.live(25)
    assert trained.job.job.status.operating_point is not None
    assert trained.job.job.status.operating_point.lost_seconds < 0.01 * sum(trained.seconds.values()) + 60


def test_visits_cost_no_more_than_their_share() -> None:
    trained = Trained(truth=replace(fast(BOARD), exponent=1.5))
    trained.live(40)
    lost = sum(
        seconds * max(0.0, 1 - 110 / (100 + trained.truth.true_slowdown_percent(watts)))
        for watts, seconds in trained.seconds.items()
    )
    assert lost <= 0.01 * (20_000 + LATER + 40 * 30 - at(0).timestamp())


def test_what_is_learned_serves_the_next_job_from_its_start() -> None:
    first = Trained()
    first.live(25)
    second = Trained(own=first.own, now=first.now)
    second.cycle()
    second.confirm()
    assert second.has_watts == first.has_watts


def test_another_operator_goes_on_with_a_visit() -> None:
    trained = Trained()
    trained.live(3)
    trained.confirm()
    before, point = trained.has_watts, trained.job.job.status.operating_point
    trained.now += 10
    trained.cycle()
    trained.confirm()
    assert (trained.has_watts, trained.job.job.status.operating_point) == (before, point)
