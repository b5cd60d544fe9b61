"""What a power limit was chosen from: each limit's numbers, and what spoke against it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.decision import MAX_OPTIONS, LimitOption
from ballast.api.jobenergy import Objective
from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.prediction import GpuRange
from ballast.decide.points.choosing import choose
from ballast.decide.points.wishes import Wishes
from tests.curve_builders import MadeUpCurve, fast, flat

LONG = Wishes(ran_seconds=600.0, left_seconds=20_000.0)
ONLY_CHOOSE = replace(LONG, exploration=None)


def considered(
    curve: MadeUpCurve, *limits: float, wishes: Wishes = ONLY_CHOOSE, error: float = 0.001
) -> dict[float, LimitOption]:
    samples = [curve.measured(limit, error=error) for limit in limits]
    told = choose(curve.after(samples), candidate_limits(curve.gpu), samples, wishes).told(wishes)
    return {option.power_limit_watts: option for option in told}


def against(*arguments: float, curve: MadeUpCurve | None = None, wishes: Wishes = ONLY_CHOOSE) -> dict[float, str]:
    found = considered(curve or fast(), *arguments, wishes=wishes)
    return {watts: option.against for watts, option in found.items()}


def test_every_limit_has_its_numbers_and_what_speaks_against_it() -> None:
    found = considered(fast(), 300, 225, 200)
    assert list(found) == [100, 125, 150, 175, 200, 225, 250, 275, 300]
    assert found[225] == LimitOption(
        power_limit_watts=225, joules_percent=-15.3, slowdown_percent=9.5, measured=True, against=""
    )
    assert found[200].against == "too slow: 15 % > 10 %"
    assert found[250].against == "6.9 % more joules"
    assert found[300].against == "18 % more joules"
    assert (found[300].joules_percent, found[300].slowdown_percent, found[300].measured) == (0.0, 0.0, True)
    assert [watts for watts, option in found.items() if option.measured] == [200, 225, 300]


def test_numbers_are_those_of_the_choice() -> None:
    curve, samples = fast(), [fast().measured(limit) for limit in (300, 225)]
    choice = choose(curve.after(samples), candidate_limits(curve.gpu), samples, ONLY_CHOOSE)
    [taken] = [option for option in choice.told(ONLY_CHOOSE) if not option.against]
    assert taken.power_limit_watts == choice.limit_watts
    assert taken.joules_percent == pytest.approx(-choice.prediction.saved_percent, abs=0.051)
    assert taken.slowdown_percent == pytest.approx(choice.prediction.slowdown_percent, abs=0.051)


def test_until_the_found_limit_is_measured_nothing_else_is_tried_out() -> None:
    found = against()
    assert found.pop(300) == ""
    assert set(found.values()) == {"not tried out yet: 300 W is measured first"}


def test_a_limit_that_may_be_too_slow_waits_for_a_measurement() -> None:
    found = against(300, curve=replace(fast(), doubt=0.2))
    assert found[225] == "not tried out yet: may be too slow, up to 20 % > 10 %"


def test_while_another_is_tried_out_the_best_says_so() -> None:
    found = against(300, 250, curve=replace(fast(), doubt=0.2), wishes=LONG)
    assert found[225] == ""
    assert found[250] == "the best so far: 225 W is tried out"
    assert found[300] == "10 % more joules"


def test_a_present_limit_that_is_nearly_as_good_stays() -> None:
    keeping = replace(ONLY_CHOOSE, now_watts=300.0, caution=replace(LONG.caution, keep_percent=20))
    found = against(300, 225, wishes=keeping)
    assert found[300] == ""
    assert found[225] == "15 % fewer joules: not worth a change"


def test_who_is_too_slow_already_is_told_that() -> None:
    found = against(300, wishes=replace(ONLY_CHOOSE, max_slowdown_percent=-4))
    assert found[275] == "too slow: the allowed slowdown is spent already"


def test_balanced_compares_joules_times_seconds() -> None:
    found = against(*range(100, 325, 25), curve=flat(), wishes=replace(ONLY_CHOOSE, objective=Objective.BALANCED))
    assert found.pop(300) == ""
    assert set(found.values()) == {"as many joules times seconds"}


def test_of_many_the_found_one_and_the_nearest_are_told() -> None:
    wide = fast(GpuRange("B200", 300.0, 1000.0, 100.0))
    found = considered(wide, *candidate_limits(wide.gpu))
    assert len(found) == MAX_OPTIONS
    assert 1000.0 in found
    [taken] = [watts for watts, option in found.items() if not option.against]
    assert {taken - 25, taken + 25} <= set(found)
    assert list(found) == sorted(found)
