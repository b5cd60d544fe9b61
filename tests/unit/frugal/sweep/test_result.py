"""Savings paired by round, the advice, and marks that stay."""

from __future__ import annotations

import pytest

from frugal.errors import DataError
from frugal.sweep.report import report
from frugal.sweep.result import SweepResult
from tests.unit.frugal.sweep.builders import measured, result


def test_savings_are_paired_by_round() -> None:
    """The second round is a hot afternoon: everything takes half as much again, the savings are as in the first."""
    found = result(
        measured(250, 0, 10.0, 2000.0), measured(150, 0, 11.0, 1500.0),
        measured(150, 1, 16.5, 2250.0), measured(250, 1, 15.0, 3000.0),
    )  # fmt: skip
    base, low = found.results()
    assert base.saving_percent is base.slowdown_percent is None
    assert low.saving_percent is not None
    assert low.slowdown_percent is not None
    assert (low.saving_percent.mean, low.saving_percent.low, low.saving_percent.high) == pytest.approx((25, 25, 25))
    assert low.slowdown_percent.mean == pytest.approx(10)
    assert low.joules_per_step == pytest.approx(3750 / 200)


def test_confidence_intervals_are_students() -> None:
    """Savings of 20, 25 and 30 %: mean 25, t(2 degrees) 4.303, times 5 / √3."""
    rounds = [(0, 1600.0), (1, 1500.0), (2, 1400.0)]
    found = result(
        *(measured(250, n, 10.0, 2000.0) for n, _ in rounds), *(measured(150, n, 10.0, joules) for n, joules in rounds)
    )
    saving = found.results()[1].saving_percent
    assert saving is not None
    assert saving.half_width == pytest.approx(4.3027 * 5 / 3**0.5, rel=1e-3)


def test_advice_keeps_to_the_slowdown() -> None:
    found = result(measured(250, 0, 10.0, 2000.0), measured(200, 0, 10.5, 1800.0), measured(150, 0, 13.0, 1500.0))
    assert found.best().point.power_limit_watts == 150
    assert found.best(10.0).point.power_limit_watts == 200
    assert found.best(1.0).point.power_limit_watts == 250


def test_where_nothing_is_saved_it_says_so() -> None:
    text = report(result(measured(250, 0, 10.0, 2000.0), measured(150, 0, 30.0, 2500.0)), 10.0)
    assert text.count("nothing is saved") == 2
    assert "-25.0" in text


@pytest.mark.parametrize("simulated", [True, False])
def test_simulated_figures_are_marked_wherever_they_go(*, simulated: bool) -> None:
    found = result(measured(250, 0, 10.0, 2000.0), measured(150, 0, 11.0, 1500.0), simulated=simulated)
    assert ("SIMULATED" in report(found, 10.0)) == simulated
    assert ('"simulated": true' in found.to_json()) == simulated
    assert ("simulated NVML" in found.to_json()) == simulated


@pytest.mark.parametrize(("seconds", "said"), [(4.0, "joules may be wrong by 2 %"), (5.0, None)])
def test_measurements_that_are_short_for_the_counter_are_told(seconds: float, said: str | None) -> None:
    text = report(result(measured(250, 0, seconds, 100), measured(150, 0, 10.0, 80)), 10.0)
    assert (said or "") in text
    assert ("shortest" in text) == (said is not None)


def test_it_says_that_accuracy_is_not_affected_and_how_it_knows() -> None:
    same = result(measured(250, 0, 10.0, 2000.0, loss=0.5), measured(150, 0, 11.0, 1500.0, loss=0.5))
    other = result(measured(250, 0, 10.0, 2000.0, loss=0.5), measured(150, 0, 11.0, 1500.0, loss=0.51))
    assert "same to the last bit" in report(same, 10.0)
    assert "differed by 2 % at most" in report(other, 10.0)


def test_a_result_comes_back_from_json() -> None:
    found = result(measured(250, 0, 10.0, 2000.0), measured(150, 0, 11.0, 1500.0, loss=0.5), simulated=True)
    back = SweepResult.from_json(found.to_json())
    assert back.to_json() == found.to_json()
    assert back.results() == found.results()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"format": 2}', '{"format": 1, "source": "x"}'])
def test_what_is_no_result_is_refused(text: str) -> None:
    with pytest.raises(DataError, match="no result of frugal sweep"):
        SweepResult.from_json(text)
