"""What is learned of a running job is its board's true curve, and what is chosen by it saves what the board counts."""

from __future__ import annotations

import pytest

from tests.e2e.energy_model.conftest import FOUND_WATTS
from tests.e2e.energy_model.story import FIXED_WATTS, KEY, Story, limit_of
from tests.e2e.energy_model.trainer import CPUS, STEPS_PER_CPU_SECOND, TOTAL_STEPS
from tests.e2e.namespace import condition
from tests.nvmlsim import curves
from tests.nvmlsim.boards import A40

pytestmark = pytest.mark.slow

TRUE = curves.curve(A40)
MAX_SLOWDOWN_PERCENT = 10


def slowdown_percent(limit_watts: float) -> float:
    """Return how much longer work takes at a limit than as found, by the board's true curve."""
    return 100 * (TRUE.speed_at(FOUND_WATTS) / TRUE.speed_at(limit_watts) - 1)


def test_each_measured_point_is_on_the_true_curve(fair: Story) -> None:
    points = {point["powerLimitWatts"]: point for point in fair.profiles[KEY]["spec"]["points"]}
    assert len(points) >= 3
    for limit, point in points.items():
        busy = fair.busy[limit]
        assert busy < 1.02, "no board does more than its curve says"
        watts = A40.idle_watts + busy * (TRUE.watts_at(limit) - A40.idle_watts)
        speed = busy * TRUE.speed_at(limit) * CPUS * STEPS_PER_CPU_SECOND
        assert point["gpus"] == 1
        assert point["wattsPerGpu"] == pytest.approx(watts, rel=0.05), limit
        assert point["stepsPerSecond"] == pytest.approx(speed, rel=0.05), limit


def test_the_limit_as_found_is_measured_first(story: Story) -> None:
    assert story.limits[0] == FOUND_WATTS
    assert len(story.limits) >= 3


def test_what_is_tried_out_costs_no_more_than_a_hundredth_of_the_time(story: Story) -> None:
    lost = 0.0
    for limit, seconds in story.stays:
        lost += seconds * max(0.0, 1 - (100 + MAX_SLOWDOWN_PERCENT) / (100 + slowdown_percent(limit)))
    job_seconds = TOTAL_STEPS / (CPUS * STEPS_PER_CPU_SECOND)
    assert lost <= 0.01 * job_seconds
    told = story.chosen["status"]["operatingPoint"]["lostSeconds"]
    assert 0.8 * lost - 1 <= told <= 0.01 * job_seconds


def test_the_choice_is_within_the_slowdown_and_as_good_as_any_that_is(fair: Story) -> None:
    chosen = limit_of(fair.chosen)
    assert chosen is not None
    assert slowdown_percent(chosen) <= MAX_SLOWDOWN_PERCENT
    joules = {limit: TRUE.watts_at(limit) / TRUE.speed_at(limit) for limit in range(100, 301, 25)}
    best = min(joules[limit] for limit in joules if slowdown_percent(limit) <= MAX_SLOWDOWN_PERCENT)
    assert TRUE.watts_at(chosen) / TRUE.speed_at(chosen) <= 1.02 * best


def test_by_the_boards_own_counters_it_saves_what_it_says_within_the_slowdown(fair: Story) -> None:
    auto, untouched = fair.spent["auto"], fair.spent["untouched"]
    chosen = limit_of(fair.chosen)
    assert chosen is not None
    saved = 1 - auto.joules_per_step / untouched.joules_per_step
    true = 1 - (TRUE.watts_at(chosen) / TRUE.speed_at(chosen)) / (
        TRUE.watts_at(FOUND_WATTS) / TRUE.speed_at(FOUND_WATTS)
    )
    assert saved == pytest.approx(true, abs=0.05)
    assert saved > 0.1
    slowdown = (untouched.steps / untouched.seconds) / (auto.steps / auto.seconds) - 1
    assert slowdown <= MAX_SLOWDOWN_PERCENT / 100 + 0.02


def test_the_owner_is_told_with_numbers(story: Story) -> None:
    told = condition(story.chosen, "OperatingPointSet") or {}
    assert "fewer joules" in story.chosen["status"]["operatingPoint"]["why"]
    assert told["reason"] in {"PointConfirmed", "PointPending"}
    chosen = [event for event in story.events if event["reason"] == "OperatingPointChosen"]
    assert any(f"{limit_of(story.chosen):.0f} W of {FOUND_WATTS:.0f} W" in event["message"] for event in chosen)


def test_jobs_that_choose_for_themselves_are_measured_and_not_moved(story: Story) -> None:
    assert story.limits_asked["untouched"] == []
    assert set(story.limits_asked["fixed"]) <= {FIXED_WATTS, FOUND_WATTS}
    assert [point["powerLimitWatts"] for point in story.profiles["left-alone"]["spec"]["points"]] == [FOUND_WATTS]
    assert [point["powerLimitWatts"] for point in story.profiles["held"]["spec"]["points"]] == [FIXED_WATTS]


def test_the_profile_says_what_follows(story: Story) -> None:
    status = story.profiles[KEY]["status"]
    points = story.profiles[KEY]["spec"]["points"]
    assert status["points"] == len(points)
    assert status["samples"] == sum(point["samples"] for point in points)
    joules = {point["powerLimitWatts"]: point["wattsPerGpu"] / point["stepsPerSecond"] for point in points}
    assert status["bestPowerLimitWatts"] == min(joules, key=joules.__getitem__)
    assert {each["type"]: each["status"] for each in status["conditions"]} == {"Usable": "True"}
