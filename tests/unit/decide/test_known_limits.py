"""What several samples of a limit say together."""

from __future__ import annotations

import pytest

from ballast.decide.model.known_limits import Trust, known_limits, pooled
from ballast.decide.model.prediction import Sample
from tests.curve_builders import fast


def test_errors_fall_with_the_number_of_samples_that_agree() -> None:
    pool = pooled([Sample(200, 90.0, 198.0, 0.02, 0.04)] * 4)[200]
    assert pool.count == 4
    assert pool.sample.work_per_second == pytest.approx(90)
    assert pool.sample.watts == pytest.approx(198)
    assert (pool.sample.error, pool.sample.watts_error) == pytest.approx((0.01, 0.02))


def test_better_samples_count_more() -> None:
    pool = pooled([Sample(200, 100.0, 198.0, error=0.01), Sample(200, 110.0, 198.0, error=0.1)])[200]
    assert 100 < pool.sample.work_per_second < 100.2


def test_scatter_counts_where_it_exceeds_the_stated_errors() -> None:
    pool = pooled([Sample(200, 90.0, 198.0), Sample(200, 100.0, 198.0)])[200]
    assert pool.sample.error == pytest.approx(0.0527, rel=0.01)  # half the logarithm of 100/90
    assert pool.sample.watts_error == pytest.approx(0.01 / 2**0.5)


def test_limits_are_told_apart_by_whole_watts() -> None:
    assert set(pooled([Sample(200.2, 1.0, 1.0), Sample(199.8, 1.0, 1.0), Sample(201, 1.0, 1.0)])) == {200, 201}


def test_samples_without_an_error_can_be_combined() -> None:
    assert pooled([Sample(200, 90.0, 198.0, 0.0, 0.0)] * 3)[200].sample.work_per_second == pytest.approx(90)


def test_samples_of_a_job_that_stands_still_tell_nothing() -> None:
    assert not pooled([Sample(200, 0.0, 60.0), Sample(200, 10.0, 0.0)])


def test_sixteen_equal_samples_settle_what_one_measures_well() -> None:
    trust, one = Trust(), Sample(200, 90.0, 198.0)
    assert trust.well_measured(pooled([one])[200])
    assert not trust.settled(pooled([one] * 15)[200])
    assert trust.settled(pooled([one] * 16)[200])


def test_noise_is_settled_after_sixteen_and_well_measured_after_four() -> None:
    trust, noise = Trust(), Sample(200, 90.0, 198.0, error=0.2)
    assert [trust.well_measured(pooled([noise] * count)[200]) for count in (3, 4)] == [False, True]
    assert [trust.settled(pooled([noise] * count)[200]) for count in (15, 16)] == [False, True]


def test_what_is_settled_is_what_was_measured_and_never_what_was_predicted() -> None:
    fine, noise = Sample(300, 100.0, 290.0, error=0.0025), Sample(300, 100.0, 290.0, error=0.2)
    here = [Sample(200, 90.0, 198.0, error=0.0025)]
    for found, settled in (([fine], True), ([noise] * 16, False)):
        known = known_limits(fast(), (200.0, 300.0), pooled([*found, *here]), Trust())[0]
        assert (known.measured, known.settled) == (True, settled)
        assert (known.prediction == fast().at(200.0)) is not settled
