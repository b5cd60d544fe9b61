"""How sure a choice is: predictions by their bound, measurements by themselves, and nothing without a reading."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.decide.model.candidate_limits import candidate_limits
from ballast.decide.model.prediction import Sample
from ballast.decide.points.choosing import Choice, Kind, choose
from ballast.decide.points.wishes import Caution, Wishes
from tests.curve_builders import MadeUpCurve, fast

ONLY_CHOOSE = Wishes(exploration=None)


def choice(curve: MadeUpCurve, *samples: Sample, wishes: Wishes = ONLY_CHOOSE) -> Choice:
    return choose(curve, candidate_limits(curve.gpu), samples, wishes)


def test_without_a_reading_at_the_found_limit_it_stays() -> None:
    chosen = choice(fast(), fast().measured(225))
    assert (chosen.limit_watts, chosen.kind, chosen.measured) == (300.0, Kind.EXPLORE, False)


def test_a_reading_there_that_is_all_noise_is_not_enough() -> None:
    assert choice(fast(), fast().measured(error=0.03)).kind is Kind.EXPLORE


@pytest.mark.parametrize(("error", "readings"), [(0.015, 3), (0.2, 4)])
def test_several_are_enough_when_they_agree_or_when_more_would_not_help(error: float, readings: int) -> None:
    noisy = [fast().measured(error=error)] * readings
    assert choice(fast(), *noisy[1:]).kind is Kind.EXPLORE
    assert choice(fast(), *noisy).kind is Kind.CHOSEN


def test_a_reading_of_a_job_that_made_no_progress_is_none() -> None:
    assert choice(fast(), replace(fast().measured(), work_per_second=0.0)).kind is Kind.EXPLORE


def test_doubt_makes_for_a_higher_limit() -> None:
    sure, unsure = choice(fast(), fast().measured()), choice(replace(fast(), doubt=0.1), fast().measured())
    assert sure.limit_watts < unsure.limit_watts < 300
    assert unsure.prediction.slowdown_bound_percent(1.645) <= 10 < sure.prediction.slowdown_percent + 3


def test_how_sure_is_a_setting() -> None:
    unsure = replace(fast(), doubt=0.3)
    bold = replace(ONLY_CHOOSE, caution=Caution(deviations=0.0))
    assert choice(unsure, unsure.measured(), wishes=bold).limit_watts < choice(unsure, unsure.measured()).limit_watts


def test_a_measured_limit_is_taken_for_what_was_measured() -> None:
    # The curve believes it to be far too slow, whatever was measured.
    curve = replace(fast(), wobble=lambda limit: 0.3 if limit < 300 else 0.0)
    assert choice(curve, curve.measured()).limit_watts == 300.0
    chosen = choice(curve, fast().measured(), fast().measured(225))
    assert (chosen.limit_watts, chosen.measured) == (225.0, True)
    assert chosen.prediction.slowdown_percent == pytest.approx(fast().true_slowdown_percent(225))
    assert chosen.prediction.log_joules == pytest.approx(fast().true_log_joules(225))


def test_a_measured_limit_that_is_too_slow_is_not_chosen_whatever_was_predicted() -> None:
    curve = fast()
    slow = replace(curve.measured(225), work_per_second=0.85 * curve.measured().work_per_second)
    assert choice(curve, curve.measured()).limit_watts == 225.0
    assert choice(curve, curve.measured(), slow).limit_watts > 225.0


def test_the_error_of_the_found_limit_counts_in_every_ratio() -> None:
    # 225 W takes 9.7 percent more time.
    here = fast().measured(225)
    assert choice(fast(), fast().measured(error=0.0005), here).limit_watts == 225.0
    assert choice(replace(fast(), doubt=0.5), fast().measured(error=0.009), here).limit_watts > 225.0


def test_readings_that_contradict_each_other_leave_the_word_to_the_curve() -> None:
    curve = fast()
    torn = [curve.measured(225, off_by=0.3), curve.measured(225, off_by=-0.3)]
    chosen = choice(curve, curve.measured(), *torn)
    assert not chosen.measured
    assert chosen.prediction == curve.at(chosen.limit_watts)
