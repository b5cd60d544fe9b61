"""What is judged of the two arms, and for how long their idle boards count."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.demo.comparison.result import problems
from tests.demo.comparison.trainer import Trained
from tests.unit.demo.comparison.builders import arm, comparison, with_first


def test_nothing_is_wrong_with_two_arms_that_did_the_same_work() -> None:
    assert problems(comparison()) == []
    assert comparison().saved_percent == pytest.approx(20.0)


def test_a_job_that_did_not_end_well_is_told_of() -> None:
    wrong = comparison(ballast=with_first(arm("Ballast"), trained=None, problem="ended with exit code 1: no"))
    assert problems(wrong) == ["Ballast: bert-0 ended with exit code 1: no"]


def test_a_job_that_says_nothing_counts_against_it() -> None:
    wrong = comparison(plain=with_first(arm("plain"), trained=None))
    assert problems(wrong) == ["plain: bert-0 does not say what it did"]


def test_a_job_that_did_less_is_told_of() -> None:
    wrong = with_first(arm("Ballast"), trained=Trained(model="V100", steps=3, began=1002.0, ended=1003.0))
    (problem,) = problems(comparison(ballast=wrong))
    assert problem.startswith("Ballast: bert-0 made 3 steps of ")


def test_a_board_that_was_not_put_back_is_told_of() -> None:
    wrong = comparison(ballast=replace(arm("Ballast", joules=1.0), limits_after={"GPU-1": 175.0}))
    assert problems(wrong) == ["Ballast: GPU-1 had a power limit of 250 W, and has 175 W"]


def test_more_joules_are_told_of() -> None:
    (problem,) = problems(comparison(ballast=arm("Ballast", joules=1100.0)))
    assert problem == "Ballast took 10.0 % more joules above idle than kube-scheduler alone"


def test_idle_boards_count_for_the_same_time_in_both_arms() -> None:
    compared = comparison(ballast=arm("Ballast", joules=800.0, late_seconds=5.0))
    assert compared.ballast.makespan_seconds == compared.plain.makespan_seconds + 5.0
    idle = 10.0 * compared.ballast.makespan_seconds
    assert compared.total_joules(compared.plain) == pytest.approx(1000.0 + idle)
    assert compared.total_joules(compared.ballast) == pytest.approx(800.0 + idle)


def test_completion_counts_from_each_jobs_own_submission() -> None:
    assert arm().mean_completion_seconds == pytest.approx(12.0)
