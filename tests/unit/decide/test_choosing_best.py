"""The least energy among the limits that are allowed, which is not the lowest of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.jobenergy import Objective
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.points.choosing import Choice, Kind, choose
from ballast.decide.points.wishes import Wishes
from tests.curve_builders import A40, V100, MadeUpCurve, fast, flat

ONLY_CHOOSE = Wishes(exploration=None)


def choice(curve: MadeUpCurve, wishes: Wishes = ONLY_CHOOSE) -> Choice:
    return choose(curve, candidate_limits(curve.gpu), [curve.measured()], wishes)


def within(percent: float, **wishes: object) -> Wishes:
    return Wishes(max_slowdown_percent=percent, exploration=None, **wishes)  # type: ignore[arg-type]


@pytest.mark.parametrize("curve", [fast(), fast(V100), MadeUpCurve(), MadeUpCurve(V100, draws=240)])
@pytest.mark.parametrize("percent", [0, 5, 10, 30, 300])
def test_it_is_the_least_energy_of_those_that_are_allowed(curve: MadeUpCurve, percent: float) -> None:
    limits = [limit for limit in candidate_limits(curve.gpu) if curve.true_slowdown_percent(limit) <= percent]
    assert choice(curve, within(percent)).limit_watts == min(limits, key=curve.true_log_joules)


def test_a_lower_limit_that_backfires_is_not_chosen_though_it_is_allowed() -> None:
    curve = MadeUpCurve(A40, exponent=0.7)
    chosen = choice(curve, within(400))
    assert curve.true_slowdown_percent(100) < 400
    assert curve.true_log_joules(100) > 0
    assert chosen.limit_watts > 200
    assert chosen.kind is Kind.CHOSEN


def test_limits_that_change_nothing_are_left_as_they_were_found() -> None:
    chosen = choice(flat())
    assert (chosen.limit_watts, chosen.kind) == (300.0, Kind.FOUND)


def test_the_found_limit_is_allowed_to_who_is_too_slow_already() -> None:
    chosen = choice(fast(), within(-5))
    assert (chosen.limit_watts, chosen.kind) == (300.0, Kind.FOUND)


def test_the_deadline_allows_less_than_the_user() -> None:
    hurried = within(30, deadline_slowdown_percent=6.0)
    assert choice(fast(), hurried).limit_watts == choice(fast(), within(6)).limit_watts
    assert choice(fast(), hurried).limit_watts > choice(fast(), within(30)).limit_watts


def test_a_deadline_that_is_far_away_allows_no_more_than_the_user() -> None:
    assert choice(fast(), within(6, deadline_slowdown_percent=500.0)) == choice(fast(), within(6))


def test_a_balanced_job_gives_less_time_for_joules() -> None:
    curve = fast()
    balanced = choice(curve, within(300, objective=Objective.BALANCED)).limit_watts
    best = min(candidate_limits(A40), key=lambda limit: curve.true_log_joules(limit) + curve.true_log_slowdown(limit))
    assert balanced == best
    assert balanced > choice(curve, within(300)).limit_watts


def test_a_job_that_minimizes_time_gives_none_for_joules() -> None:
    assert choice(fast(), within(30, objective=Objective.MINIMIZE_TIME)).limit_watts == 300.0


def test_a_job_that_minimizes_time_takes_joules_that_cost_none() -> None:
    # Its power goes on falling below the limit at which it slows down, as a board's voltage does.
    curve = replace(fast(), draws=310.0, exponent=0.0)
    assert choice(curve, within(30, objective=Objective.MINIMIZE_TIME)).limit_watts == 100.0


def test_the_present_limit_stays_where_another_is_better_only_by_noise() -> None:
    # Both are as fast; 10 W less of 300 W saves 3 percent at most.
    curve = replace(fast(), draws=126.0, exponent=0.0)
    assert choice(curve, ONLY_CHOOSE).limit_watts == 100.0
    almost = replace(curve, draws=100.4)
    assert choice(almost, replace(ONLY_CHOOSE, now_watts=125.0)).limit_watts == 125.0
    assert choice(curve, replace(ONLY_CHOOSE, now_watts=125.0)).limit_watts == 100.0


def test_the_order_of_limits_and_samples_makes_no_difference() -> None:
    curve = fast()
    samples = [curve.measured(), curve.measured(225, error=0.01), curve.measured(225, error=0.003, off_by=0.004)]
    limits = candidate_limits(A40)
    assert choose(curve, limits, samples, ONLY_CHOOSE) == choose(curve, limits[::-1], samples[::-1], ONLY_CHOOSE)


def test_a_limit_outside_the_range_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        choose(fast(), [50.0, 300.0], [fast().measured()], ONLY_CHOOSE)
