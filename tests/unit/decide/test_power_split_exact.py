"""The split is the optimum: against all splits of few watts, and against a solver's of many."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np
import pytest
from scipy.optimize import linprog  # type: ignore[import-untyped]

from ballast.decide.model.prediction import GpuRange
from ballast.decide.points.power_split import Claim, split
from tests.curve_builders import A40, V100, MadeUpCurve, fast

SMALL = GpuRange("small", 10.0, 18.0, 2.0)


def loss(claims: Sequence[Claim], limits: dict[str, float]) -> float:
    return math.fsum(claim.weight * claim.curve.at(limits[claim.key]).log_slowdown for claim in claims)


def small(key: str, exponent: float, weight: float = 1.0, gpus: int = 1) -> Claim:
    return Claim(key, MadeUpCurve(SMALL, draws=17.5, floor=6.0, exponent=exponent), gpus, 10.0, 18.0, weight)


def best_of_all(claims: Sequence[Claim], watts: float) -> float:
    ranges = [range(int(claim.min_limit_watts), int(claim.max_limit_watts) + 1) for claim in claims]
    keys = [claim.key for claim in claims]
    feasible = (
        dict(zip(keys, map(float, limits), strict=True))
        for limits in itertools.product(*ranges)
        if sum(claim.watts_per_watt * limit for claim, limit in zip(claims, limits, strict=True)) <= watts
    )
    return min(loss(claims, limits) for limits in feasible)


@pytest.mark.parametrize("watts", range(30, 56))
def test_on_equal_numbers_of_gpus_no_split_is_better(watts: int) -> None:
    claims = [small("a", 0.3), small("b", 0.6), small("c", 0.3, weight=2.5)]
    found = split(claims, watts, step_watts=1)
    assert loss(claims, dict(found.limits)) == pytest.approx(best_of_all(claims, watts), abs=1e-12)


@pytest.mark.parametrize("watts", range(70, 127, 3))
def test_on_unequal_numbers_it_is_within_a_watt_of_one_job(watts: int) -> None:
    claims = [small("a", 0.3, gpus=2), small("b", 0.6), small("c", 0.5, weight=2.5, gpus=4)]
    limits = dict(split(claims, watts, step_watts=1).limits)
    next_watt = (
        max(
            loss(claims, limits) - loss(claims, limits | {claim.key: limits[claim.key] + 1})
            for claim in claims
            if limits[claim.key] < claim.max_limit_watts
        )
        if any(limits[claim.key] < claim.max_limit_watts for claim in claims)
        else 0.0
    )
    assert best_of_all(claims, watts) <= loss(claims, limits) + 1e-12
    assert loss(claims, limits) - next_watt <= best_of_all(claims, watts) + 1e-12


def solved(claims: Sequence[Claim], watts: float, step: int) -> float:
    """Return the least loss by a linear program over convex combinations of each curve's samples."""
    points = [
        (index, limit, claim.curve.at(limit).log_slowdown)
        for index, claim in enumerate(claims)
        for limit in map(float, range(int(claim.min_limit_watts), int(claim.max_limit_watts) + 1, step))
    ]
    cost = [claims[index].weight * slowdown for index, _, slowdown in points]
    draws = [[claims[index].watts_per_watt * limit for index, limit, _ in points]]
    one_each = [[float(index == row) for index, _, _ in points] for row in range(len(claims))]
    result = linprog(cost, A_ub=draws, b_ub=[watts], A_eq=one_each, b_eq=np.ones(len(claims)), method="highs")
    assert result.success
    return float(result.fun)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.37, 0.5, 0.81, 0.99, 1.0])
def test_a_solver_finds_nothing_better_but_for_the_last_watt(share: float) -> None:
    claims = [
        Claim("a", fast(A40), 3, 100.0, 300.0, 1.0, 1.05),
        Claim("b", MadeUpCurve(V100, draws=240.0), 8, 100.0, 250.0, 2.0),
        Claim("c", MadeUpCurve(A40, wobble=lambda limit: 0.05 if 150 < limit < 220 else 0.0), 1, 100.0, 300.0),
        Claim("d", fast(V100), 4, 150.0, 225.0, 0.5, 1.02),
    ]
    least = sum(claim.watts_per_watt * claim.min_limit_watts for claim in claims)
    most = sum(claim.watts_per_watt * claim.max_limit_watts for claim in claims)
    watts = least + share * (most - least)
    found = split(claims, watts, step_watts=5)
    optimum = solved(claims, watts, step=5)
    reached = sum(claim.weight * hull_at(claim, found.limits[claim.key]) for claim in claims)
    # What is left is worth at most a watt for each GPU of the job whose turn it was.
    steepest = max(
        claim.weight
        * (
            hull_at(claim, found.limits[claim.key])
            - hull_at(claim, min(found.limits[claim.key] + 1, claim.max_limit_watts))
        )
        for claim in claims
    )
    assert optimum - 1e-9 <= reached <= optimum + steepest + 1e-9


def hull_at(claim: Claim, limit: float) -> float:
    """Return the convex hull of the claim's curve, by all chords of its samples."""
    xs = [float(x) for x in range(int(claim.min_limit_watts), int(claim.max_limit_watts) + 1, 5)]
    ys = [claim.curve.at(x).log_slowdown for x in xs]
    lowest = math.inf
    for (x0, y0), (x1, y1) in itertools.product(zip(xs, ys, strict=True), repeat=2):
        if x0 <= limit <= x1:
            share = (limit - x0) / (x1 - x0) if x1 > x0 else 0.0
            lowest = min(lowest, y0 + share * (y1 - y0))
    return lowest
