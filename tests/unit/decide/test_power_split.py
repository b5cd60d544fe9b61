"""How the watts of a shared limit are split: by priority, by what each watt is worth, and never more than there are."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import pytest

from ballast.decide.model.prediction import Prediction
from ballast.decide.points.power_split import Claim, split
from tests.curve_builders import A40, V100, MadeUpCurve, fast, flat


def claim(key: str, curve: MadeUpCurve | None = None, gpus: int = 1, **rest: float) -> Claim:
    curve = curve if curve is not None else fast()
    limits = {"min_limit_watts": curve.gpu.min_limit_watts, "max_limit_watts": curve.gpu.max_limit_watts, **rest}
    return Claim(key, curve, gpus, **limits)


def test_where_there_is_enough_everybody_has_his_highest() -> None:
    found = split([claim("a"), claim("b", max_limit_watts=225.0)], 1000)
    assert found.limits == {"a": 300.0, "b": 225.0}
    assert found.is_feasible
    assert (found.watts, found.left_watts) == (525, 475)


def test_equal_jobs_get_the_same_but_for_a_watt() -> None:
    assert split([claim("a"), claim("b"), claim("c")], 601).limits == {"a": 201.0, "b": 200.0, "c": 200.0}


def test_who_slows_down_more_for_a_watt_gets_more() -> None:
    limits = split([claim("fast", fast()), claim("steep", replace(fast(), exponent=0.6))], 400).limits
    assert limits["steep"] > limits["fast"] + 20


def test_a_job_that_no_limit_binds_gives_its_watts_away() -> None:
    # The other draws 291 W at most: from the curve's next sample on nobody needs more, and they take turns.
    assert split([claim("flat", flat()), claim("other")], 400).limits == {"flat": 105.0, "other": 295.0}


def test_the_weight_of_a_job_counts() -> None:
    limits = split([claim("first", weight=3.0), claim("second")], 400).limits
    assert limits["first"] > limits["second"] + 20


def test_at_the_split_a_watt_is_worth_the_same_to_all() -> None:
    claims = [claim("a", gpus=2), claim("b", replace(fast(), exponent=0.3)), claim("c", fast(V100), gpus=4, weight=2.0)]
    limits = split(claims, 1200, step_watts=1).limits
    assert all(105 < limits[each.key] < each.max_limit_watts - 10 for each in claims)

    def worth(each: Claim) -> float:
        curve, limit = each.curve, limits[each.key]
        gain = curve.at(limit - 1).log_slowdown - curve.at(limit + 1).log_slowdown
        return each.weight * gain / 2 / each.gpus

    assert [worth(each) for each in claims[1:]] == pytest.approx([worth(claims[0])] * 2, rel=0.03)


def test_a_job_on_more_gpus_pays_for_each_of_them() -> None:
    limits = split([claim("one"), claim("eight", gpus=8)], 1800).limits
    assert limits["one"] > limits["eight"]
    assert limits["one"] + 8 * limits["eight"] <= 1800


def test_what_boards_draw_above_their_limit_is_counted() -> None:
    found = split([claim("a", gpus=2, margin=1.1)], 440)
    assert found.limits == {"a": 200.0}
    assert found.watts == pytest.approx(440)


def test_too_few_watts_leave_the_least_limits_and_say_what_is_missing() -> None:
    found = split([claim("a", gpus=3), claim("b", min_limit_watts=150.0)], 400)
    assert found.limits == {"a": 100.0, "b": 150.0}
    assert not found.is_feasible
    assert found.missing_watts == pytest.approx(50)
    assert found.message == (
        "4 GPUs of 2 jobs may draw 450 W even at their least power limits: 50 W more than the 400 W that there are"
    )


def test_the_message_says_what_is_used() -> None:
    assert split([claim("a", gpus=8)], 1650).message == "8 GPUs of 1 job may draw 1.65 kW of 1.65 kW"


def test_a_range_that_is_no_whole_watts_keeps_its_ends() -> None:
    assert split([claim("a", min_limit_watts=120.5, max_limit_watts=238.25)], 1000).limits == {"a": 238.25}
    assert split([claim("a", min_limit_watts=120.5, max_limit_watts=238.25)], 200.7).limits == {"a": 200.0}
    assert split([claim("a", min_limit_watts=120.5, max_limit_watts=120.5)], 200).limits == {"a": 120.5}


def test_a_curve_with_a_dent_is_split_by_its_hull() -> None:
    # Between 150 and 250 W it promises nothing for many watts and then much: taken alone, the first watts would never
    # be worth it.
    dented = replace(fast(), wobble=lambda limit: 0.2 if 150 <= limit < 250 else 0.0)
    limits = split([claim("dented", dented), claim("smooth", fast())], 450).limits
    assert limits["dented"] > 180
    assert sum(limits.values()) == 450


def test_a_curve_that_rises_with_the_limit_gets_the_watts_last() -> None:
    odd = replace(flat(), wobble=lambda limit: limit / 1000)
    assert split([claim("odd", odd), claim("other")], 450).limits == {"odd": 155.0, "other": 295.0}


def test_nobody_claims() -> None:
    found = split([], 100)
    assert (found.limits, found.left_watts, found.is_feasible) == ({}, 100, True)
    assert not split([], -5).is_feasible


def test_the_order_of_claims_makes_no_difference() -> None:
    claims = [claim("b"), claim("c", gpus=2), claim("a")]
    assert split(claims, 701) == split(claims[::-1], 701)


@pytest.mark.parametrize(
    "claims",
    [
        [claim("a"), claim("a")],
        [claim("a", gpus=0)],
        [claim("a", weight=0.0)],
        [claim("a", margin=0.9)],
        [claim("a", weight=math.nan)],
        [claim("a", weight=math.inf)],
        [claim("a", margin=math.nan)],
        [claim("a", min_limit_watts=math.nan)],
        [claim("a", max_limit_watts=math.inf)],
        [claim("a", min_limit_watts=200.0, max_limit_watts=150.0)],
        [claim("a", fast(V100), max_limit_watts=A40.max_limit_watts)],
    ],
)
def test_claims_that_make_no_sense_are_refused(claims: list[Claim]) -> None:
    with pytest.raises(ValueError, match="a"):
        split(claims, 500)


def test_watts_that_are_no_number_are_refused() -> None:
    with pytest.raises(ValueError, match="not a number"):
        split([claim("a")], math.nan)


@dataclass(frozen=True)
class Counted(MadeUpCurve):
    """A curve that counts how often it is asked."""

    asked: list[float] = field(default_factory=list)

    def at(self, limit_watts: float) -> Prediction:
        self.asked.append(limit_watts)
        return super().at(limit_watts)


def test_jobs_of_one_kind_share_what_is_computed_of_their_curve() -> None:
    curve = Counted(A40, draws=290.0)
    split([claim(f"job-{number}", curve) for number in range(200)], 40_000)
    assert len(curve.asked) == 41


def test_thousands_of_claims_with_margins_get_no_watt_too_much() -> None:
    kinds = [fast(), fast(V100), MadeUpCurve(A40), MadeUpCurve(V100, draws=240.0)]
    claims = [
        claim(f"job-{number}", kinds[number % 4], 1 + number % 5, margin=1 + (number % 7) / 90, weight=1 + number % 3)
        for number in range(2000)
    ]
    least = math.fsum(each.watts_per_watt * each.min_limit_watts for each in claims)
    for share in (0.0, 0.123, 0.5, 0.987):
        found = split(claims, least * (1 + share))
        assert found.is_feasible
        assert found.left_watts < 6
