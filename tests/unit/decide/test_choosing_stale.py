"""When a workload has changed, so that what was measured of it is worth nothing any more."""

from __future__ import annotations

from dataclasses import replace

from ballast.decide.model.known_limits import stale
from ballast.decide.model.prediction import Sample

BEFORE = [Sample(300, 100.0, 280.0), Sample(200, 90.0, 198.0)]


def test_another_speed_at_the_same_limit() -> None:
    assert stale(BEFORE, [Sample(200, 80.0, 198.0)])
    assert stale(BEFORE, [Sample(200, 100.0, 198.0)])


def test_another_power_at_the_same_limit() -> None:
    assert stale(BEFORE, [Sample(300, 100.0, 240.0)])


def test_nothing_new() -> None:
    assert not stale(BEFORE, BEFORE)
    assert not stale(BEFORE, [])
    assert not stale([], BEFORE)


def test_a_difference_that_noise_explains() -> None:
    noisy = Sample(200, 80.0, 198.0, error=0.04)
    assert not stale(BEFORE, [noisy])
    assert stale(BEFORE, [noisy] * 4)


def test_a_difference_that_is_sure_but_does_not_matter() -> None:
    exact = [replace(sample, error=0.0001, watts_error=0.0001) for sample in BEFORE]
    slower = [replace(sample, work_per_second=0.97 * sample.work_per_second) for sample in exact]
    assert not stale(exact, slower)
    assert stale(exact, slower, least_share=0.02)


def test_another_limit_is_no_comparison() -> None:
    assert not stale(BEFORE, [Sample(150, 40.0, 149.0)])


def test_what_boards_make_of_a_limit_is_the_same_limit() -> None:
    assert stale(BEFORE, [Sample(200.3, 80.0, 198.0)])


def test_readings_that_contradict_each_other_prove_nothing() -> None:
    assert not stale(BEFORE, [Sample(200, 60.0, 198.0), Sample(200, 110.0, 198.0)])
