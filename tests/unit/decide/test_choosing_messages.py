"""Why a limit was chosen, in words and numbers."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.jobenergy import Objective
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.points.choosing import choose
from ballast.decide.points.wishes import Wishes
from tests.curve_builders import A40, MadeUpCurve, fast, flat

LONG = Wishes(ran_seconds=600.0, left_seconds=20_000.0)
ONLY_CHOOSE = replace(LONG, exploration=None)


def message(curve: MadeUpCurve, *limits: float, wishes: Wishes = ONLY_CHOOSE, error: float = 0.001) -> str:
    samples = [curve.measured(limit, error=error) for limit in limits]
    return choose(curve.after(samples), candidate_limits(curve.gpu), samples, wishes).message


def test_a_measured_limit_says_what_it_saves_and_costs() -> None:
    assert message(fast(), 300, 225) == "225 W of 300 W: 15 % fewer joules for 9.5 % more time, measured"


def test_a_predicted_limit_says_how_sure_it_is() -> None:
    text = message(replace(fast(), doubt=0.1), 300)
    assert text == (
        "250 W of 300 W: 9.4 % fewer joules for 5.4 % more time, predicted; at most 8.6 % within the 10 % more time"
        " that is allowed"
    )


def test_before_the_first_reading_it_says_what_is_missing() -> None:
    assert message(fast()) == "300 W, as found: slowdown is counted from there, where there is no reading yet"
    assert message(fast(), 300, error=0.02) == (
        "300 W, as found: slowdown is counted from there, where there is no better reading yet than within 2 %"
    )


def test_a_visit_says_for_how_long_and_what_for_and_what_it_may_cost() -> None:
    text = message(replace(fast(), doubt=0.2), 300, 250, wishes=LONG)
    assert text == (
        "225 W of 300 W for 30 s, to learn whether joules are fewer than at 250 W; at most 7.18 s lost beyond the 10 %"
        " more time that is allowed"
    )


def test_the_best_as_predicted_is_visited_to_learn_whether_it_is() -> None:
    text = message(replace(fast(), doubt=0.2), 300, wishes=LONG)
    assert text == (
        "250 W of 300 W for 30 s, to learn whether joules are fewer, as predicted; at most 10.9 s lost beyond the 10 %"
        " more time that is allowed"
    )


def test_time_that_nobody_notices_is_none() -> None:
    samples = [fast().measured(limit, error=0.001) for limit in (300, 250, 200, 175)]
    doubt = [*samples, fast().measured(225, error=0.01)]
    slowdown = round(fast().true_slowdown_percent(225), 3)
    again = choose(
        fast().after(doubt), candidate_limits(A40), doubt, replace(LONG, max_slowdown_percent=slowdown - 0.01)
    )
    assert again.message.startswith("225 W of 300 W for 30 s, to learn better whether")
    assert "; no time lost beyond the" in again.message


def test_a_limit_that_is_measured_again_says_what_is_in_doubt() -> None:
    samples = [fast().measured(limit, error=0.001) for limit in (300, 250, 200, 175)] + [fast().measured(225)] * 2
    doubt = [replace(samples[-1], error=0.01), *samples[:-2]]
    within = replace(LONG, max_slowdown_percent=9.0)
    again = choose(fast().after(doubt), candidate_limits(A40), doubt, within)
    assert again.message == (
        "225 W of 300 W for 30 s, to learn better whether 9.5 % more time is right; at most 149 ms lost beyond the 9 %"
        " more time that is allowed"
    )
    reference = [fast().measured(error=0.01), *samples[1:]]
    again = choose(fast().after(reference), candidate_limits(A40), reference, within)
    assert again.message == "300 W, as found, for 30 s, to learn better what slowdown is counted from"


def test_the_found_limit_says_what_would_be_too_slow() -> None:
    text = message(fast(), 300, wishes=replace(ONLY_CHOOSE, max_slowdown_percent=1))
    assert text == (
        "300 W, as found: no lower limit saves joules worth a change within the 1 % more time that is allowed; 275 W"
        " would take up to 1.9 % more"
    )


def test_where_no_limit_saves_it_names_none() -> None:
    text = message(flat(), 300, wishes=replace(ONLY_CHOOSE, objective=Objective.BALANCED))
    assert text == (
        "300 W, as found: no lower limit saves joules times seconds worth a change within the 10 % more time that is"
        " allowed"
    )


def test_it_says_who_allows_no_more() -> None:
    hurried = replace(ONLY_CHOOSE, deadline_slowdown_percent=0.5)
    assert "within the 0.5 % more time that the deadline leaves" in message(fast(), 300, wishes=hurried)
    fastest = replace(ONLY_CHOOSE, objective=Objective.MINIMIZE_TIME)
    assert "within the 1 % more time that MinimizeTime allows" in message(fast(), 300, wishes=fastest)
    late = replace(ONLY_CHOOSE, max_slowdown_percent=-4)
    assert "within the allowed slowdown, which is spent already" in message(fast(), 300, wishes=late)


def test_a_saving_that_costs_no_time_says_so() -> None:
    curve = replace(fast(), draws=310.0, exponent=0.0)
    assert message(curve, 300, 100) == "100 W of 300 W: 67 % fewer joules for no more time, measured"
