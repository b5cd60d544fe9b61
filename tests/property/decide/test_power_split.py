"""Whatever the claims: never more than there is, in range, and who gets more never by less."""

from __future__ import annotations

import math
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from ballast.decide.points.power_split import ROUNDING_WATTS, Claim, split
from tests.curve_builders import A40, V100, MadeUpCurve


@st.composite
def claims(draw: st.DrawFn, key: str) -> Claim:
    gpu = draw(st.sampled_from([A40, V100]))
    low = draw(st.floats(gpu.min_limit_watts, gpu.max_limit_watts) | st.just(gpu.min_limit_watts))
    high = draw(st.floats(low, gpu.max_limit_watts) | st.just(gpu.max_limit_watts))
    bumps = draw(st.sampled_from([0.0, 0.0, 0.1]))
    curve = MadeUpCurve(
        gpu,
        draws=draw(st.floats(90.0, 310.0)),
        floor=draw(st.floats(10.0, 80.0)),
        exponent=draw(st.sampled_from([0.2, 0.5, 1.0])),
        wobble=lambda limit: bumps * math.sin(limit / 7),
    )
    weight = draw(st.sampled_from([0.5, 1.0, 1.0, 3.0]))
    return Claim(key, curve, draw(st.integers(1, 9)), low, high, weight, draw(st.sampled_from([1.0, 1.03, 1.1])))


queues = st.lists(st.sampled_from("abcde"), unique=True, max_size=5).flatmap(
    lambda keys: st.tuples(*[claims(key) for key in keys]).map(list)
)
budgets = st.floats(0.0, 9000.0)


@given(queues, budgets)
def test_never_more_than_there_is_and_always_in_range(found: list[Claim], watts: float) -> None:
    result = split(found, watts)
    drawn = math.fsum(claim.gpus * claim.margin * result.limits[claim.key] for claim in found)
    assert set(result.limits) == {claim.key for claim in found}
    for claim in found:
        limit = result.limits[claim.key]
        assert claim.min_limit_watts <= limit <= claim.max_limit_watts
        assert limit == int(limit) or limit in {claim.min_limit_watts, claim.max_limit_watts}
    if result.is_feasible:
        assert drawn <= watts + ROUNDING_WATTS
    else:
        assert all(result.limits[claim.key] == claim.min_limit_watts for claim in found)
        assert math.isclose(drawn - result.missing_watts, watts, abs_tol=1e-6)


@given(queues, budgets)
def test_nothing_is_left_that_the_next_in_turn_could_use(found: list[Claim], watts: float) -> None:
    result = split(found, watts)
    hungry = [claim for claim in found if result.limits[claim.key] < claim.max_limit_watts]
    if hungry and result.is_feasible:
        assert result.left_watts < max(claim.gpus * claim.margin for claim in hungry) + ROUNDING_WATTS


@given(queues, budgets, st.floats(0.0, 2000.0))
def test_more_watts_lower_nobodys_limit(found: list[Claim], watts: float, more: float) -> None:
    before, after = split(found, watts), split(found, watts + more)
    assert all(before.limits[claim.key] <= after.limits[claim.key] for claim in found)


@given(queues.filter(bool), budgets, st.floats(1.0, 10.0))
def test_more_weight_never_lowers_ones_own_limit(found: list[Claim], watts: float, factor: float) -> None:
    first, *others = found
    before = split(found, watts)
    after = split([replace(first, weight=factor * first.weight), *others], watts)
    assert before.limits[first.key] <= after.limits[first.key]


@given(st.data(), queues, budgets)
def test_the_order_of_claims_makes_no_difference(data: st.DataObject, found: list[Claim], watts: float) -> None:
    assert split(found, watts) == split(data.draw(st.permutations(found)), watts)


@given(claims("a"), budgets)
def test_equal_jobs_get_the_same_but_for_a_watt(claim: Claim, watts: float) -> None:
    result = split([claim, replace(claim, key="b")], watts)
    assert abs(result.limits["a"] - result.limits["b"]) <= 1


@given(queues, budgets)
def test_at_the_split_no_watt_is_worth_more_to_another(found: list[Claim], watts: float) -> None:
    # Karush, Kuhn and Tucker's conditions: where limits can move, marginal slowdowns are equal but for a watt.
    found = [replace(claim, curve=replace(claim.curve, wobble=lambda limit: 0.0)) for claim in found]  # type: ignore[type-var]
    limits = split(found, watts, step_watts=1).limits

    def worth(claim: Claim, low: float, high: float) -> float:
        gain = claim.curve.at(low).log_slowdown - claim.curve.at(high).log_slowdown
        return claim.weight * gain / (high - low) / claim.watts_per_watt

    given_up = [
        worth(claim, max(math.ceil(limits[claim.key]) - 1, claim.min_limit_watts), limits[claim.key])
        for claim in found
        if limits[claim.key] > claim.min_limit_watts
    ]
    got = [
        worth(claim, limits[claim.key], min(math.floor(limits[claim.key]) + 1, claim.max_limit_watts))
        for claim in found
        if limits[claim.key] < claim.max_limit_watts
    ]
    if given_up and got and split(found, watts).is_feasible:
        assert max(got) <= min(given_up) + 1e-9
