"""What a step costs follows from a sliding window of joules and steps."""

from __future__ import annotations

import pytest

from ballast.exporter.joules_per_step import WINDOW_SECONDS, JoulesPerStep


def test_it_is_joules_over_steps() -> None:
    cost = JoulesPerStep()
    cost.note(0.0, 1_000.0, 10)
    assert cost.value() is None
    cost.note(5.0, 1_500.0, 20)
    assert cost.value() == 50.0


def test_a_trainer_that_tells_no_steps_has_no_cost_of_them() -> None:
    cost = JoulesPerStep()
    cost.note(0.0, 1_000.0, None)
    cost.note(5.0, 1_500.0, None)
    assert cost.value() is None


def test_a_step_is_charged_when_it_is_done() -> None:
    cost = JoulesPerStep()
    cost.note(0.0, 0.0, 1)
    cost.note(10.0, 100.0, 2)
    cost.note(15.0, 190.0, 2)
    assert cost.value() == 100.0
    cost.note(20.0, 200.0, 3)
    assert cost.value() == 100.0


def test_another_operating_point_shows_within_the_window() -> None:
    cost = JoulesPerStep()
    joules = 0.0
    for second in range(2 * int(WINDOW_SECONDS)):
        joules += 100.0 if second < WINDOW_SECONDS else 40.0
        cost.note(float(second), joules, second)
    assert cost.value() == pytest.approx(40.0, rel=0.03)


def test_a_step_that_goes_back_begins_anew() -> None:
    cost = JoulesPerStep()
    cost.note(0.0, 0.0, 0)
    cost.note(10.0, 1_000.0, 100)
    cost.note(20.0, 2_000.0, 50)
    assert cost.value() is None
    cost.note(30.0, 2_500.0, 60)
    assert cost.value() == 50.0


def test_little_is_remembered() -> None:
    cost = JoulesPerStep()
    for second in range(10_000):
        cost.note(float(second), float(second), second)
    assert len(cost._moments) <= 70
