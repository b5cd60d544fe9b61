"""How the operating-point benchmark scores a choice."""

from __future__ import annotations

import math

import pytest

from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.model.prediction import GpuRange
from ballast.simulate.fitting.prior_fit import Configuration
from tests.bench.operating_point_bench import Job, best_guess, share, violations_percent
from tests.curve_builders import MadeUpCurve, fast

# Slowdowns of 40, 8, 4 and 0 percent.
JOB = Configuration(
    GpuRange("A40", 100.0, 250.0, 30.0),
    "a/b",
    "a/b/8",
    (100, 150, 200, 250),
    (14.0, 10.8, 10.4, 10.0),
    (95, 140, 170, 200),
)


def job(slowdown: float = 5.0) -> Job:
    return Job(JOB, HierarchicalModel(), slowdown)


def test_the_oracle_saves_the_most_that_is_allowed() -> None:
    outcome = job(5.0).outcome(200)
    assert outcome.saved_watts == outcome.oracle_watts == pytest.approx(200 - 1.04 * 170)
    assert outcome.excess_percent == 0.0
    assert job(10.0).outcome(200).oracle_watts == pytest.approx(200 - 1.08 * 140)


def test_who_is_too_slow_counts_until_its_allowance_is_spent() -> None:
    outcome = job(5.0).outcome(100)
    saved = 200 - 1.4 * 95
    assert saved > outcome.oracle_watts
    assert outcome.saved_watts == pytest.approx(saved * 5 / 40)
    assert outcome.excess_percent == pytest.approx(35.0)
    assert outcome.kept_watts == 0.0


def test_who_is_too_slow_never_counts_as_better_than_the_oracle() -> None:
    outcome = job(5.0).outcome(150)
    assert outcome.oracle_watts < (200 - 1.08 * 140) * 5 / 8
    assert outcome.saved_watts == outcome.oracle_watts


def test_shares_are_of_summed_watts_and_violations_of_jobs() -> None:
    run = [job().outcome(limit) for limit in (250, 200, 100, 200)]
    right = 200 - 1.04 * 170
    wrong = (200 - 1.4 * 95) / 8
    assert share(run) == pytest.approx((2 * right + wrong) / (4 * right))
    assert share(run, kept=True) == pytest.approx(0.5)
    assert violations_percent(run) == 25.0


def test_a_guess_without_doubt_is_the_oracles() -> None:
    curve = fast()
    limits = [float(limit) for limit in range(100, 301, 25)]
    allowed = [limit for limit in limits if curve.true_slowdown_percent(limit) <= 10]
    assert best_guess(curve, limits, 10.0) == min(allowed, key=curve.true_log_joules)


def test_a_guess_in_doubt_keeps_away_from_what_may_be_too_slow() -> None:
    limits = [float(limit) for limit in range(100, 301, 25)]
    sure, doubtful = (MadeUpCurve(draws=290.0, exponent=0.25, doubt=doubt) for doubt in (0.0, 1.0))
    assert best_guess(doubtful, limits, 10.0) > best_guess(sure, limits, 10.0)


def test_nothing_to_save_keeps_the_maximum_limit() -> None:
    costly = MadeUpCurve(draws=290.0, floor=70.0, exponent=1.5)
    assert math.isclose(best_guess(costly, [200.0, 250.0, 300.0], 5.0), 300.0)
