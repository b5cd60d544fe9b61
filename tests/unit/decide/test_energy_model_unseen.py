"""A GPU model that was never measured: its limit range and one reading are all that is known."""

from __future__ import annotations

import pytest

from ballast.decide.energy_model import HierarchicalModel
from ballast.decide.model.prediction import GpuRange
from ballast.decide.model.prior import PRIOR
from tests.curve_builders import A40
from tests.unit.decide.curve_checks import MODEL, UNSEEN, reading


@pytest.mark.parametrize("draw", [0.3, 0.6, 0.9])
def test_it_is_judged_by_shares_of_its_own_range(draw: float) -> None:
    twice = GpuRange("never seen", 200.0, 600.0, 60.0)
    alike = GpuRange("never seen", 100.0, 300.0, 30.0)
    for share in (0.4, 0.6, 0.8):
        big = MODEL.curve(twice, (reading(600.0, watts=draw * 600),)).at(share * 600)
        small = MODEL.curve(alike, (reading(300.0, watts=draw * 300),)).at(share * 300)
        assert big.log_slowdown == pytest.approx(small.log_slowdown, rel=1e-6)
        assert big.log_joules == pytest.approx(small.log_joules, rel=1e-6)


def test_it_is_predicted_with_more_doubt_than_one_that_was_measured() -> None:
    other = GpuRange("B40", A40.min_limit_watts, A40.max_limit_watts, A40.idle_watts)
    for limit in (150.0, 200.0, 250.0):
        known, unseen = (MODEL.curve(gpu, (reading(300.0, watts=250.0),)).at(limit) for gpu in (A40, other))
        assert unseen.log_slowdown_sd > 1.1 * known.log_slowdown_sd


def test_a_product_label_names_a_measured_model_too() -> None:
    label = GpuRange("NVIDIA-A40", A40.min_limit_watts, A40.max_limit_watts, A40.idle_watts)
    a, b = (MODEL.curve(gpu, (reading(300.0),)).at(200.0) for gpu in (A40, label))
    assert a == b


def test_one_reading_tells_who_is_bound_by_limits() -> None:
    hungry, modest = (MODEL.curve(UNSEEN, (reading(450.0, watts=watts),)).at(300.0) for watts in (420.0, 180.0))
    assert hungry.slowdown_percent > 3
    assert modest.slowdown_percent < 1


def test_what_it_draws_stays_within_what_was_ever_seen() -> None:
    absurd = HierarchicalModel(PRIOR).curve(UNSEEN, (reading(450.0, watts=2000.0),))
    assert absurd.at(450.0).watts <= PRIOR.overshoot * 450.0 * (1 + 1e-9)
