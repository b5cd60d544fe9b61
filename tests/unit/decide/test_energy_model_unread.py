"""The energy model before it has any reading."""

from __future__ import annotations

import pytest

from ballast.decide.model.prediction import GpuRange
from tests.curve_builders import A40, V100
from tests.unit.decide.curve_checks import MODEL, UNSEEN, everywhere

ALL = [A40, V100, UNSEEN, GpuRange("narrow", 60.0, 75.0, 8.0), GpuRange("wide", 50.0, 700.0, 40.0)]


@pytest.mark.parametrize("gpu", ALL, ids=lambda gpu: gpu.name)
def test_the_found_limit_costs_exactly_nothing(gpu: GpuRange) -> None:
    found = MODEL.curve(gpu, ()).at(gpu.max_limit_watts)
    assert (found.log_slowdown, found.log_slowdown_sd, found.log_joules) == (0.0, 0.0, 0.0)


@pytest.mark.parametrize("gpu", ALL, ids=lambda gpu: gpu.name)
def test_power_stays_between_idle_and_somewhat_above_the_limit(gpu: GpuRange) -> None:
    assert all(gpu.idle_watts <= each.watts <= 1.25 * each.limit_watts for each in everywhere(MODEL.curve(gpu, ())))


@pytest.mark.parametrize("gpu", ALL, ids=lambda gpu: gpu.name)
def test_half_of_the_found_limit_is_slower_with_doubt(gpu: GpuRange) -> None:
    limit = max(gpu.min_limit_watts, gpu.max_limit_watts / 2)
    there = MODEL.curve(gpu, ()).at(limit)
    assert there.slowdown_percent > 0
    assert there.slowdown_bound_percent(1.645) > there.slowdown_percent + 1


def test_a_moderate_limit_is_expected_to_save() -> None:
    assert MODEL.curve(A40, ()).at(200.0).saved_percent > 5
    assert MODEL.curve(V100, ()).at(175.0).saved_percent > 5


@pytest.mark.parametrize("limit", [99.0, 301.0])
def test_a_limit_outside_the_range_is_refused(limit: float) -> None:
    with pytest.raises(ValueError, match=rf"{limit:g} W lies outside A40's 100 to 300 W"):
        MODEL.curve(A40, ()).at(limit)
