"""The functions that curves are made of."""

from __future__ import annotations

import numpy as np
import pytest

from ballast.decide.model.curve_shape import Form, mean_terms

FORM = Form(powers=(2.0, 5.0), hinges=(1.3, 0.9), width=0.2, missed_from=0.1)
SHARES = np.array([0.3, 0.5, 0.8, 0.95, 1.0])


@pytest.mark.parametrize("draw", [0.2, 0.7, 0.95])
def test_all_are_exactly_nothing_at_the_found_limit(draw: float) -> None:
    found = FORM.functions(np.array([1.0]), draw)
    assert found.shape == (2, FORM.size)
    assert np.all(found == 0.0)


@pytest.mark.parametrize("draw", [0.2, 0.7, 0.95])
def test_each_moves_in_one_direction_as_the_limit_falls(draw: float) -> None:
    rows = FORM.functions(SHARES, draw)
    slowdown, power = rows[: len(SHARES), :2], rows[len(SHARES) :, 2:]
    assert np.all(np.diff(slowdown, axis=0) < 0)
    assert np.all(np.diff(power, axis=0) < 0)


def test_slowdown_and_power_have_functions_of_their_own() -> None:
    rows = FORM.functions(SHARES, 0.7)
    assert not rows[: len(SHARES), 2:].any()
    assert not rows[len(SHARES) :, :2].any()


def test_a_limit_far_above_the_draw_does_nothing() -> None:
    assert np.abs(FORM.functions(np.array([0.9]), 0.2)).max() < 0.02


def test_slowdown_stops_growing_where_nothing_was_measured() -> None:
    rows = FORM.functions(np.array([0.2, 0.25, 0.5]), 0.8, deepest=2.5)
    assert rows[0, 0] == rows[1, 0] > rows[2, 0]


def test_a_power_counts_as_one_at_half_of_the_draw() -> None:
    at_half, almost_none = FORM.functions(np.array([0.0005]), 0.001)[0, :2], 1e-3
    assert at_half == pytest.approx([1.0, 1.0], abs=almost_none)


def test_curves_miss_more_the_slower_a_workload_is() -> None:
    assert FORM.missed(np.array([0.0, 0.1, 0.3])) == pytest.approx([1.0, 2.0, 10.0])


def test_means_are_polynomials_of_the_draw() -> None:
    assert mean_terms(0.5, 3) == pytest.approx([1.0, 0.5, 0.25])
