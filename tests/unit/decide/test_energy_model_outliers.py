"""Readings that a phase of the training, or chance, has spoiled."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.decide.model.prediction import Sample
from tests.curve_builders import A40, MadeUpCurve
from tests.unit.decide.curve_checks import MODEL

LIMITS = (300.0, 275.0, 250.0, 225.0, 200.0, 175.0, 150.0)
TRUTH = MadeUpCurve(draws=280.0, floor=80.0, exponent=0.35)


def readings(limits: tuple[float, ...] = LIMITS) -> list[Sample]:
    return [TRUTH.measured(limit, error=0.01) for limit in limits]


def spoiled(sample: Sample, speed: float, watts: float = 1.0) -> Sample:
    return replace(sample, work_per_second=sample.work_per_second * speed, watts=sample.watts * watts)


@pytest.mark.parametrize("where", [1, 2, 3, 4])
@pytest.mark.parametrize("speed", [0.6, 1.6], ids=["evaluation", "a short epoch"])
def test_one_spoiled_reading_moves_no_other_limit_much(where: int, speed: float) -> None:
    samples = readings()
    clean = MODEL.curve(A40, tuple(samples))
    samples[where] = spoiled(samples[where], speed)
    curve = MODEL.curve(A40, tuple(samples))
    for limit in LIMITS[:-1]:
        assert abs(curve.at(limit).log_slowdown - clean.at(limit).log_slowdown) < 0.03


def test_what_was_drawn_during_a_phase_is_doubted_as_well() -> None:
    samples = readings()
    samples[3] = spoiled(samples[3], 1.0, watts=0.5)
    curve = MODEL.curve(A40, tuple(samples))
    assert curve.at(225.0).watts == pytest.approx(TRUTH.true_watts(225.0), rel=0.1)


def test_a_spoiled_reading_among_good_ones_of_its_limit_is_seen_as_scatter() -> None:
    good = readings((300.0,) * 4 + (200.0,) * 4)
    spoilt = [*good, spoiled(good[-1], 0.5)]
    before, after = (MODEL.curve(A40, tuple(samples)).at(200.0) for samples in (good, spoilt))
    assert after.log_slowdown_sd > before.log_slowdown_sd
    assert abs(after.log_slowdown - TRUTH.true_log_slowdown(200.0)) < 2 * after.log_slowdown_sd + 0.03


def test_readings_that_agree_with_each_other_are_believed_though_the_prior_does_not_expect_them() -> None:
    samples = tuple(Sample(limit, 100.0 if limit > 200 else 80.0, min(limit, 280.0), 0.01, 0.01) for limit in LIMITS)
    assert MODEL.curve(A40, samples).at(175.0).slowdown_percent > 12
