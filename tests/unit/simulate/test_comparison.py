"""Means over seeds, and savings paired by seed."""

from __future__ import annotations

import pytest

from ballast.errors import UserError
from ballast.simulate.comparison.comparison import Comparison, Interval, PowerSeries
from ballast.simulate.engine.outcome import Summary
from tests.unit.simulate.made_up import arm, comparison


def _joules(summary: Summary) -> float:
    return summary.joules


def test_one_seed_has_no_interval_and_several_have_students() -> None:
    assert Interval.of([3.0]) == Interval(3.0, None, 1)
    found = Interval.of([1.0, 2.0, 3.0])
    assert found.mean == 2.0
    assert found.half == pytest.approx(4.302653 / 3**0.5, rel=1e-5)


def test_a_saving_is_paired_by_seed() -> None:
    made = comparison({"base": (100.0, 200.0), "half": (50.0, 100.0)})
    saved = made.entries[1].saved_percent(_joules)
    assert saved is not None
    assert saved.mean == pytest.approx(50.0)
    assert saved.half == pytest.approx(0.0)


def test_only_seeds_that_both_have_are_compared() -> None:
    made = Comparison.of([arm("base", 0, kwh=100), arm("new", 0, kwh=80), arm("new", 1, kwh=1)], ["base", "new"])
    saved = made.entries[1].saved_percent(_joules)
    assert saved is not None
    assert saved.n == 1
    assert saved.mean == pytest.approx(20.0)


def test_the_baseline_saves_nothing_of_itself_and_without_it_nobody_does() -> None:
    made = comparison({"base": (100.0,), "new": (80.0,)})
    assert made.entries[0].saved_percent(_joules) is None
    alone = Comparison.of([arm("new")], ["base", "new"])
    assert alone.entries[0].saved_percent(_joules) is None
    assert [title for title, _ in alone.groups] == ["policies that do not"]


def test_a_second_policy_can_be_what_savings_are_against_too() -> None:
    arms = [arm("base", kwh=100), arm("other", kwh=50), arm("new", kwh=40)]
    made = Comparison.of(arms, ["base", "other", "new"], second="other")
    base, other, new = (entry.saved_percent(_joules, second=True) for entry in made.entries)
    assert base is not None
    assert base.mean == pytest.approx(-100.0)
    assert other is None
    assert new is not None
    assert new.mean == pytest.approx(20.0)


def test_policies_that_see_to_the_slowdown_stand_apart() -> None:
    made = comparison({"base": (1.0,), "careless": (1.0,), "careful": (1.0,)}, keeps=("careful",))
    assert [[entry.policy for entry in entries] for _, entries in made.groups] == [["base"], ["careful"], ["careless"]]


def test_an_arm_that_stands_twice_is_refused() -> None:
    with pytest.raises(UserError, match="'base', seed 0: stands twice"):
        Comparison.of([arm("base"), arm("base")], ["base"])


def test_power_is_averaged_over_spans_and_loses_no_joules() -> None:
    steps = [(0.0, 5.0, 100.0), (5.0, 7.0, 400.0), (7.0, 20.0, 10.0)]
    found = PowerSeries.of(steps, horizon=20.0, spans=2)
    assert found.watts == pytest.approx((133.0, 10.0))
    assert sum(found.watts) * found.span_seconds == pytest.approx(500 + 800 + 130)
