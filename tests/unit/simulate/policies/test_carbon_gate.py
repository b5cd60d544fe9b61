"""The carbon gate: nothing starts on dirty electricity before its delay is over."""

from __future__ import annotations

import pytest

from ballast.errors import UserError
from ballast.simulate.policies.carbon_gate import LOOK_EVERY_SECONDS, CarbonGate
from tests.unit.simulate.policies.views import Cluster, cluster, job, starts, wake_ups

DAY = 24 * 3600.0


def gated(grams: float | None, now: float = 0.0) -> Cluster:
    return cluster(v100=1).with_carbon(grams).at(now)


@pytest.mark.parametrize("grams", [None, 0.0, 200.0])
def test_jobs_start_on_clean_electricity_and_where_nothing_is_known_of_it(grams: float | None) -> None:
    steps = CarbonGate(0).decide(gated(grams).waiting(job("a")).view)
    assert starts(steps) == {"a": {"v100-0": 1}}
    assert not wake_ups(steps)


def test_jobs_wait_on_dirty_electricity_and_are_looked_at_again() -> None:
    steps = CarbonGate(0).decide(gated(200.1, now=1000).waiting(job("a", at=1000)).view)
    assert not starts(steps)
    assert wake_ups(steps) == [1000 + LOOK_EVERY_SECONDS]


def test_a_job_starts_when_its_delay_is_over() -> None:
    policy = CarbonGate(0)
    where = gated(500.0, now=DAY - 100).waiting(job("a", at=0), job("b", at=50))
    steps = policy.decide(where.view)
    assert not starts(steps)
    assert wake_ups(steps) == [DAY]
    steps = policy.decide(where.at(DAY).view)
    assert set(starts(steps)) == {"a"}
    assert wake_ups(steps) == [DAY + 50]


def test_the_delay_is_over_when_it_says_so_however_the_numbers_round() -> None:
    submitted, delay = 0.1, 0.2
    policy = CarbonGate(0, max_delay_seconds=delay)
    where = gated(500.0, now=submitted).waiting(job("a", at=submitted))
    (at,) = wake_ups(policy.decide(where.view))
    assert at > submitted
    assert starts(policy.decide(where.at(at).view)) == {"a": {"v100-0": 1}}


def test_it_asks_once_for_each_look() -> None:
    policy = CarbonGate(0)
    where = gated(500.0).waiting(job("a"))
    assert wake_ups(policy.decide(where.view)) == [300.0]
    assert not wake_ups(policy.decide(where.at(10).view))
    assert wake_ups(policy.decide(where.at(300).view)) == [600.0]


def test_running_jobs_are_left_alone() -> None:
    assert not CarbonGate(0).decide(gated(500.0).running(job("there"), "v100-0").view)


def test_threshold_and_delay_can_be_given() -> None:
    where = gated(500.0, now=61).waiting(job("a"))
    assert starts(CarbonGate(0, threshold_grams_per_kwh=500.0).decide(where.view))
    assert starts(CarbonGate(0, max_delay_seconds=60.0).decide(where.view))


def test_negative_values_are_refused() -> None:
    with pytest.raises(UserError, match=r"threshold_grams_per_kwh: -1.* give"):
        CarbonGate(0, threshold_grams_per_kwh=-1.0)
