"""Savings are paired by seed, like with like, with an interval that says how sure they are."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import pytest
from scipy import stats  # type: ignore[import-untyped]

from frugal.bench.comparison import Comparison, Interval, compare
from frugal.bench.records import Energy, Phase, Trial
from frugal.errors import DataError

from .made_up import trial


def only(trials: list[Trial], case: str = "variant") -> Comparison:
    (found,) = (comparison for comparison in compare(trials) if comparison.case == case)
    return found


def test_the_interval_is_students() -> None:
    """Mean 2, deviation 1, three values: half of it is t(0.975; 2) / sqrt(3), t from a printed table."""
    interval = Interval.of([1.0, 2.0, 3.0])
    assert interval.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)
    values = [3.0, 5.0, 11.0, 4.0, 4.5]
    low, high = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / 5, scale=stats.sem(values))
    five = Interval.of(values)
    assert [five.low, five.high] == pytest.approx([low, high])
    assert five.n == 5


def test_one_seed_tells_no_spread() -> None:
    assert Interval.of([7.0]) == Interval(mean=7.0, low=None, high=None, n=1)
    assert Interval.of([7.0]).half_width is None


def test_what_both_sides_of_a_seed_share_cancels() -> None:
    """Seeds differ by a factor of a thousand, but each variant takes 60 % of its own baseline: 40 ± 0 %."""
    trials = []
    for seed, level in enumerate((1.0, 30.0, 1000.0)):
        trials.append(trial("base", seed=seed, joules=level, accuracy=0.5 + 0.1 * seed))
        trials.append(trial("variant", baseline="base", seed=seed, joules=0.6 * level, accuracy=0.51 + 0.1 * seed))
    found = only(trials)
    saving = found.measured_saving
    assert saving is not None
    assert [saving.mean, saving.low, saving.high] == pytest.approx([40, 40, 40])
    assert saving.n == 3
    assert found.accuracy_change_points is not None
    assert found.accuracy_change_points.mean == pytest.approx(1)
    assert found.accuracy_change_points.half_width == pytest.approx(0, abs=1e-9)
    assert found.accuracy.half_width is not None
    assert found.accuracy.half_width > 0.2  # of the case alone, the seeds do differ


def test_pairs_are_by_seed_and_not_by_order() -> None:
    trials = [trial("base", seed=seed, joules=joules) for seed, joules in ((2, 100.0), (0, 10.0), (1, 20.0))]
    trials += [trial("variant", baseline="base", seed=seed, joules=5.0) for seed in (0, 1, 2)]
    saving = only(trials).measured_saving
    assert saving is not None
    assert saving.mean == pytest.approx((50 + 75 + 95) / 3)


def test_a_seed_without_its_baseline_is_left_out() -> None:
    trials = [trial("base", seed=0, estimated=10.0)]
    trials += [trial("variant", baseline="base", seed=seed, estimated=5.0 + 90 * seed) for seed in (0, 1)]
    found = only(trials)
    assert found.seeds == (0,)
    assert found.estimated_saving is not None
    assert found.estimated_saving.mean == pytest.approx(50)
    assert found.estimated_saving.n == 1


def test_a_case_without_any_baseline_still_shows_what_it_is() -> None:
    found = only([trial("variant", baseline="gone", accuracy=0.7)])
    assert (found.estimated_saving, found.accuracy_change_points, found.accuracy.mean) == (None, None, 0.7)


def test_an_estimate_never_stands_for_a_measurement() -> None:
    """One side has a counter, the other has not: nothing is measured, however good the estimates are."""
    trials = [trial("base", joules=10.0, estimated=10.0), trial("variant", baseline="base", estimated=4.0)]
    found = only(trials)
    assert (found.measured_saving, found.measured_joules, found.measured_by) == (None, None, None)
    assert found.estimated_saving is not None
    assert found.estimated_saving.mean == pytest.approx(60)


@pytest.mark.parametrize("field", ["source", "estimated_by"])
def test_only_figures_of_the_same_counters_or_model_are_paired(field: str) -> None:
    base, variant = trial("base", joules=10.0), trial("variant", baseline="base", joules=5.0)
    another: dict[str, Any] = {field: "another"}
    other = replace(variant, energy=replace(variant.energy, **another))
    found = only([base, other])
    assert (found.measured_saving is None) == (field == "source")
    assert (found.estimated_saving is None) == (field == "estimated_by")


def test_answers_are_compared_one_by_one_and_trainings_as_wholes() -> None:
    """The variant does in one half of the examples what the baseline does in all."""
    for phase, saving in ((Phase.INFERENCE, 0.0), (Phase.TRAINING, 50.0)):
        trials = [
            trial("base", phase=phase, joules=10.0, samples=100),
            trial("variant", baseline="base", phase=phase, joules=5.0, samples=50),
        ]
        found = only(trials).measured_saving
        assert found is not None
        assert found.mean == pytest.approx(saving)


def test_a_counter_that_saw_nothing_gives_no_saving() -> None:
    trials = [trial("base", joules=0.0), trial("variant", baseline="base", joules=0.0)]
    assert only(trials).measured_saving is None


def test_a_counter_that_did_not_move_for_a_case_does_not_save_it_everything() -> None:
    assert only([trial("base", joules=2.0), trial("variant", baseline="base", joules=0.0)]).measured_saving is None


def reaching(
    case: str, seed: int, joules: float | None, estimated: float | None = None, baseline: str | None = None
) -> Trial:
    energy = Energy(
        seconds=1.0,
        cpu_seconds=1.0,
        joules=joules,
        source=None if joules is None else "counter",
        estimated_joules=estimated,
        estimated_by=None if estimated is None else "model",
    )
    never = joules is None and estimated is None
    return replace(
        trial(case, seed=seed, phase=Phase.TRAINING, baseline=baseline), to_accuracy=None if never else energy
    )


def test_energy_to_accuracy_needs_every_pair_to_get_there() -> None:
    there = [reaching("base", seed, 10.0) for seed in (0, 1)]
    there += [reaching("variant", seed, 8.0, baseline="base") for seed in (0, 1)]
    found = only(there)
    assert found.energy_to_accuracy_saving is not None
    assert found.energy_to_accuracy_saving.mean == pytest.approx(20)
    assert (found.energy_to_accuracy_measured, found.reached_target) == (True, 2)
    one_late = only([*there[:3], reaching("variant", 1, None, baseline="base")])
    assert (one_late.energy_to_accuracy_saving, one_late.reached_target) == (None, 1)


def test_energy_to_accuracy_says_when_it_is_an_estimate() -> None:
    found = only([reaching("base", 0, None, 10.0), reaching("variant", 0, None, 5.0, baseline="base")])
    assert found.energy_to_accuracy_saving is not None
    assert found.energy_to_accuracy_saving.mean == pytest.approx(50)
    assert not found.energy_to_accuracy_measured
    mixed = [reaching("base", 0, 10.0), reaching("variant", 0, None, 5.0, baseline="base")]
    assert only(mixed).energy_to_accuracy_saving is None


def test_the_same_trial_twice_is_refused() -> None:
    with pytest.raises(DataError, match="two trials of case 'base', inference, seed 0"):
        compare([trial("base"), trial("base")])
