"""What every prediction of the energy model keeps to, whatever was read, on whatever board."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.model.prediction import GpuRange, Sample
from tests.unit.decide.curve_checks import MODEL, everywhere, limits_of, same


@st.composite
def boards(draw: st.DrawFn) -> GpuRange:
    top = draw(st.floats(60.0, 1200.0))
    lowest = top * draw(st.floats(0.1, 0.95))
    name = draw(st.sampled_from(["A40", "V100", "H100", "never seen"]))
    return GpuRange(name, lowest, top, lowest * draw(st.floats(0.1, 0.9)))


@st.composite
def read(draw: st.DrawFn) -> tuple[GpuRange, tuple[Sample, ...]]:
    """A board and readings on it that need not make any sense together."""
    gpu = draw(boards())
    limit = st.floats(gpu.min_limit_watts, gpu.max_limit_watts) | st.just(gpu.max_limit_watts)
    speed, watts = st.floats(1e-6, 1e6), st.floats(gpu.idle_watts / 2, 2 * gpu.max_limit_watts)
    error = st.floats(0.0, 0.5)
    samples = st.lists(st.builds(Sample, limit, speed, watts, error, error), max_size=6)
    return gpu, tuple(draw(samples))


@given(read())
def test_a_lower_limit_is_never_faster_and_never_draws_more(given_: tuple[GpuRange, tuple[Sample, ...]]) -> None:
    found = everywhere(MODEL.curve(*given_))
    for low, high in pairwise(found):
        assert low.log_slowdown >= high.log_slowdown >= 0.0
        assert low.watts <= high.watts * (1 + 1e-9)


@given(read())
def test_the_found_limit_costs_exactly_nothing(given_: tuple[GpuRange, tuple[Sample, ...]]) -> None:
    gpu, _ = given_
    found = MODEL.curve(*given_).at(gpu.max_limit_watts)
    assert (found.log_slowdown, found.log_slowdown_sd, found.log_joules) == (0.0, 0.0, 0.0)


@given(read())
def test_all_figures_are_numbers_of_a_sensible_size(given_: tuple[GpuRange, tuple[Sample, ...]]) -> None:
    gpu, _ = given_
    for each in everywhere(MODEL.curve(*given_)):
        assert 0.0 <= each.log_slowdown_sd <= 3.0
        assert 0.0 <= each.log_watts_sd <= 3.0
        assert gpu.idle_watts * (1 - 1e-9) <= each.watts <= 1.25 * each.limit_watts
        assert math.isfinite(each.slowdown_bound_percent(3.0))
        assert math.isfinite(each.saved_percent)


@given(read(), st.randoms(use_true_random=False))
def test_the_order_of_readings_makes_no_difference(given_: tuple[GpuRange, tuple[Sample, ...]], dice: object) -> None:
    gpu, samples = given_
    shuffled = sorted(samples, key=lambda _: dice.random())  # type: ignore[attr-defined]
    assert same(MODEL.curve(gpu, samples), MODEL.curve(gpu, tuple(shuffled)), rel=0.0)


@given(boards())
def test_between_two_limits_predictions_lie_between_theirs(gpu: GpuRange) -> None:
    curve, limits = MODEL.curve(gpu, ()), limits_of(gpu, 10)
    for low, high in pairwise(limits):
        between = curve.at((low + high) / 2)
        assert curve.at(high).log_slowdown <= between.log_slowdown <= curve.at(low).log_slowdown
