"""What is tried out to learn: where it pays, not too slow, not too long, and not for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from ballast.api.jobenergy import Objective
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.known_limits import known_limits, pooled
from ballast.decide.model.prediction import Sample
from ballast.decide.points.choosing import Choice, Kind, choose
from ballast.decide.points.exploring import lost_seconds
from ballast.decide.points.wishes import Exploration, Wishes
from tests.curve_builders import A40, MadeUpCurve, fast, flat

LONG = Wishes(ran_seconds=600.0, left_seconds=20_000.0)
SPARE = 206.0
"""Seconds that its visits may cost: a percent of its time."""
PESSIMIST = replace(fast(), wobble=lambda limit: 0.7 if limit < 300 else 0.0)
"""A model that is sure, and wrong: it believes that any lower limit takes twice the time."""


def choice(model: MadeUpCurve, samples: Sequence[Sample], wishes: Wishes = LONG) -> Choice:
    return choose(model.after(samples), candidate_limits(model.gpu), samples, wishes)


def samples(*limits: float, error: float = 0.001, of: MadeUpCurve | None = None) -> list[Sample]:
    return [(of or fast()).measured(limit, error=error) for limit in (300.0, *limits)]


def visited(*limits: float, of: MadeUpCurve | None = None, **wishes: object) -> float | None:
    """Return what is visited after measurements at the found limit and at others; None if nothing is."""
    wish = replace(LONG, **wishes)  # type: ignore[arg-type]
    found = choice(PESSIMIST, samples(*limits, of=of), wish)
    assert found.kind is Kind.EXPLORE or found.measured
    return found.limit_watts if found.kind is Kind.EXPLORE else None


def test_the_next_limit_below_the_best_is_tried_out_whatever_the_model_believes() -> None:
    first = choice(PESSIMIST, samples(275.0))
    assert (first.limit_watts, first.kind, first.measured) == (250.0, Kind.EXPLORE, False)
    assert visited() == 275.0
    assert visited(275.0, 250.0) == 225.0


def test_the_best_is_measured_before_another_is_tried_out() -> None:
    sure = replace(fast(), doubt=0.01)
    best = choice(sure, samples(275.0))
    assert (best.kind, best.limit_watts, best.measured) == (Kind.CHOSEN, 225.0, False)
    then = choice(sure, samples(275.0, 225.0))
    assert (then.kind, then.limit_watts) == (Kind.EXPLORE, 200.0)


def test_a_limit_that_is_only_likely_to_be_allowed_is_tried_out_by_who_has_the_time() -> None:
    doubted, wish = replace(fast(), doubt=0.1), replace(LONG, max_slowdown_percent=12.0)
    likely = choice(doubted, samples(), wish)
    assert (likely.kind, likely.limit_watts, likely.measured) == (Kind.EXPLORE, 225.0, False)
    sure = choice(doubted, samples(), replace(wish, exploration=None))
    assert (sure.kind, sure.limit_watts) == (Kind.CHOSEN, 250.0)
    assert choice(doubted, samples(), replace(wish, lost_seconds=SPARE)) == sure


def test_it_ends_after_two_limits_in_a_row_that_are_clearly_too_slow() -> None:
    # At 225 W the job takes 9.5 percent more time, at 200 W 15, at 175 W 21.
    assert visited(250.0, 225.0, max_slowdown_percent=9.0) == 200.0
    assert visited(250.0, 225.0, 200.0, max_slowdown_percent=9.0) == 175.0
    assert visited(250.0, 225.0, 200.0, 175.0, max_slowdown_percent=9.0) is None
    hasty = Exploration(patience=1)
    assert visited(250.0, 225.0, 200.0, max_slowdown_percent=9.0, exploration=hasty) is None


def test_it_ends_after_two_limits_in_a_row_that_take_clearly_more_joules() -> None:
    # 5 percent more at 175 W, 10 at 150 W.
    steep = MadeUpCurve(exponent=0.75)
    assert visited(275.0, 250.0, 225.0, 200.0, 175.0, of=steep, max_slowdown_percent=900.0) == 150.0
    assert visited(275.0, 250.0, 225.0, 200.0, 175.0, 150.0, of=steep, max_slowdown_percent=900.0) is None


def test_one_that_is_worse_by_a_phase_of_the_training_does_not_end_it() -> None:
    odd = replace(fast(), wobble=lambda limit: 0.2 if limit == 250 else 0.0)
    assert visited(275.0, 250.0, of=odd) == 225.0
    assert visited(275.0, 250.0, 225.0, of=odd) == 200.0


def test_two_that_are_worse_with_a_better_one_between_them_do_not_end_it() -> None:
    odd = replace(fast(), wobble=lambda limit: 0.2 if limit in {250, 200} else 0.0)
    assert visited(275.0, 250.0, 225.0, 200.0, of=odd, max_slowdown_percent=9.0) == 175.0


def test_limits_that_change_nothing_are_gone_through_as_that_costs_nothing() -> None:
    assert visited(275.0, 250.0, 225.0, of=flat()) == 200.0


def test_the_limit_above_the_best_is_tried_out_where_joules_rise() -> None:
    backfires = MadeUpCurve(exponent=0.6)
    assert visited(150.0, 125.0, 100.0, of=backfires, max_slowdown_percent=900.0) == 175.0
    assert visited(175.0, 150.0, 125.0, 100.0, of=backfires, max_slowdown_percent=900.0) == 200.0
    assert visited(200.0, 175.0, 150.0, 125.0, 100.0, of=backfires, max_slowdown_percent=900.0) is None
    assert visited(250.0, 225.0, 200.0, 175.0, max_slowdown_percent=9.0) is None


def test_a_visit_that_may_cost_more_than_is_left_of_the_share_is_not_made() -> None:
    # From 250 to 225 W work falls with the cube of the limit at most: of the 30 seconds up to 8 are lost.
    slowdown = (1 + fast().true_slowdown_percent(250) / 100) * (250 / 225) ** 3
    most = 30 * (1 - 1.1 / slowdown)
    assert most == pytest.approx(7.2, abs=0.2)
    assert visited(250.0, lost_seconds=SPARE - most - 0.01) == 225.0
    assert visited(250.0, lost_seconds=SPARE - most + 0.01) is None


@pytest.mark.parametrize("seconds", [60.0, 300.0, 600.0])
def test_a_job_of_a_few_minutes_tries_out_nothing(seconds: float) -> None:
    assert visited(250.0, ran_seconds=60.0, left_seconds=seconds - 60) is None
    assert visited(250.0, ran_seconds=60.0, left_seconds=1200.0) == 225.0


def test_a_job_that_ends_soon_has_no_use_for_what_it_would_learn() -> None:
    assert visited(250.0, left_seconds=310.0, ran_seconds=1e5) == 225.0
    assert visited(250.0, left_seconds=290.0, ran_seconds=1e5) is None


def test_a_job_of_unknown_length_is_taken_to_be_half_way() -> None:
    assert visited(250.0, left_seconds=None, ran_seconds=400.0) == 225.0
    assert visited(250.0, left_seconds=None, ran_seconds=300.0) is None


@pytest.mark.parametrize("leaves_percent", [-20.0, 3.0, 10.0, 11.0])
def test_a_job_near_its_deadline_tries_out_nothing(leaves_percent: float) -> None:
    # Visits may cost 206 s; the job allows itself 2000 s more, so that the deadline has to leave 2206 s, or 11.03 %.
    assert visited(250.0, deadline_slowdown_percent=leaves_percent) is None
    assert visited(250.0, deadline_slowdown_percent=11.1) == 225.0


def test_a_job_with_a_deadline_of_which_nobody_knows_how_long_it_takes_tries_out_nothing() -> None:
    assert visited(250.0, left_seconds=None, ran_seconds=1e5, deadline_slowdown_percent=1000.0) is None
    assert visited(250.0, left_seconds=None, ran_seconds=1e5) == 225.0


def test_who_must_not_or_is_too_slow_already_tries_out_nothing() -> None:
    assert visited(250.0, exploration=None) is None
    assert visited(max_slowdown_percent=-1.0) is None


def test_a_job_that_minimizes_time_loses_none_to_learn() -> None:
    assert visited(objective=Objective.MINIMIZE_TIME) is None


def doubtful(error: float, found_error: float = 0.001, percent: float = 9.0) -> Choice:
    """Choose where 225 W takes 9.5 percent more time by its measurement, and all the rest is clear."""
    known = [fast().measured(error=found_error), *samples(250.0, 200.0, 175.0)[1:], fast().measured(225, error=error)]
    return choice(PESSIMIST, known, replace(LONG, max_slowdown_percent=percent))


def test_a_limit_that_its_measurement_leaves_in_doubt_is_measured_again() -> None:
    assert (doubtful(error=0.01).kind, doubtful(error=0.01).limit_watts) == (Kind.EXPLORE, 225.0)
    assert (doubtful(error=0.001).kind, doubtful(error=0.001).limit_watts) == (Kind.CHOSEN, 250.0)


def test_the_found_limit_is_measured_again_where_its_own_error_leaves_another_in_doubt() -> None:
    then = doubtful(error=0.001, found_error=0.008)
    assert (then.kind, then.limit_watts) == (Kind.EXPLORE, 300.0)


def test_one_that_is_too_slow_beyond_doubt_is_not() -> None:
    assert doubtful(error=0.01, percent=6.0).kind is Kind.CHOSEN


def test_once_nothing_is_left_to_learn_the_mean_decides() -> None:
    at_most = [(9.4, 250.0), (9.6, 225.0)]
    for percent, limit in at_most:
        settled = doubtful(error=0.0025, found_error=0.0025, percent=percent)
        assert (settled.kind, settled.limit_watts) == (Kind.CHOSEN, limit)


def test_one_that_may_not_pay_for_itself_any_more_is_not() -> None:
    # Sixteen readings may be needed: 480 s.
    readings = [*samples(250.0, 200.0, 175.0), fast().measured(225, error=0.01)]
    wish = replace(LONG, max_slowdown_percent=9.0, ran_seconds=50_000.0)
    assert choice(PESSIMIST, readings, replace(wish, left_seconds=500.0)).kind is Kind.EXPLORE
    assert choice(PESSIMIST, readings, replace(wish, left_seconds=470.0)).kind is Kind.CHOSEN


def test_a_limit_is_not_measured_again_for_ever() -> None:
    readings = [fast().measured(error=0.02)] * 16 + samples(250.0, 200.0, 175.0)[1:]
    readings += [fast().measured(225, error=0.02)] * 4
    wish = replace(LONG, max_slowdown_percent=9.0)
    for _ in range(12):
        again = choice(PESSIMIST, readings, wish)
        assert (again.kind, again.limit_watts) == (Kind.EXPLORE, 225.0)
        readings.append(fast().measured(225, error=0.02))
    assert choice(PESSIMIST, readings, wish).kind is Kind.CHOSEN


def test_what_stays_noise_is_left_to_the_model() -> None:
    # It takes 225 W for allowed, but not surely so; and no more readings would mend that.
    doubted = replace(fast(), doubt=0.1)
    noise = [fast().measured(limit, error=0.2) for limit in candidate_limits(A40) for _ in range(16)]
    found = choose(doubted, candidate_limits(A40), noise, LONG)
    assert (found.kind, found.limit_watts) == (Kind.CHOSEN, 250.0)


def test_only_time_beyond_what_is_allowed_is_lost() -> None:
    curve = fast()
    measured = pooled([curve.measured(limit) for limit in (300.0, 225.0, 100.0)])
    known = known_limits(curve, (100.0, 225.0, 300.0), measured, LONG.trust)
    assert lost_seconds(known, {300.0: 500.0, 225.0: 400.0}, LONG) == 0
    slow = curve.true_slowdown_percent(100) / 100
    assert lost_seconds(known, {225.0: 400.0, 100.0: 30.0}, LONG) == pytest.approx(30 * (1 - 1.1 / (1 + slow)))


def test_time_lost_at_a_limit_that_was_not_measured_is_the_most_that_it_may_be() -> None:
    curve = fast()
    guessed = known_limits(curve, (150.0,), pooled([curve.measured()]), LONG.trust)
    seen = known_limits(curve, (150.0,), pooled([curve.measured(), curve.measured(150)]), LONG.trust)
    assert lost_seconds(guessed, {150.0: 30.0}, LONG) == pytest.approx(30 * (1 - 1.1 / 2**3))
    assert lost_seconds(guessed, {150.0: 30.0}, LONG) > lost_seconds(seen, {150.0: 30.0}, LONG) > 0
