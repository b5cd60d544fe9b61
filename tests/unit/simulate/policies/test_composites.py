"""Which GPU model the composites take: the fastest that is free, or only the fastest."""

from __future__ import annotations

from ballast.simulate.policies.composites import (
    MARGIN_PERCENT,
    fastest_first,
    pinned_to_fastest,
    pinned_to_fastest_with_margin,
)
from tests.unit.simulate.policies.views import SPEEDS, cluster, job, limits, starts

LIKES_A40 = job("a", kind="likes-a40")
LIKES_V100 = job("v", kind="likes-v100")
BOTH = cluster(v100=1, a40=1)


def test_each_job_goes_to_the_gpu_model_that_is_fastest_for_its_kind() -> None:
    for make in (fastest_first, pinned_to_fastest):
        started = starts(make(0, SPEEDS).decide(BOTH.waiting(LIKES_A40, LIKES_V100).view))
        assert started == {"a": {"a40-0": 1}, "v": {"v100-0": 1}}


def test_fastest_first_takes_the_next_one_when_the_fastest_is_full() -> None:
    where = BOTH.full("a40-0").waiting(LIKES_A40)
    assert starts(fastest_first(0, SPEEDS).decide(where.view)) == {"a": {"v100-0": 1}}


def test_pinned_waits_for_the_fastest() -> None:
    policy = pinned_to_fastest(0, SPEEDS)
    where = BOTH.full("a40-0").waiting(LIKES_A40)
    assert not policy.decide(where.view)
    assert starts(policy.decide(where.without("holder-of-a40-0").view)) == {"a": {"a40-0": 1}}


def test_pinned_jobs_that_wait_do_not_block_those_of_another_gpu_model() -> None:
    where = BOTH.full("a40-0").waiting(LIKES_A40, LIKES_V100)
    assert starts(pinned_to_fastest(0, SPEEDS).decide(where.view)) == {"v": {"v100-0": 1}}


def test_a_job_is_pinned_to_the_fastest_that_could_ever_hold_it() -> None:
    large = job("a", 16, kind="likes-a40")
    where = cluster(v100=2, a40=1).waiting(large)
    assert starts(pinned_to_fastest(0, SPEEDS).decide(where.view)) == {"a": {"v100-0": 8, "v100-1": 8}}


def test_jobs_are_profiled_where_they_run() -> None:
    policy = pinned_to_fastest(0, SPEEDS)
    where = BOTH.waiting(LIKES_V100)
    where = where.after(policy.decide(where.view)).read("v", 1.0, 240.0)
    assert limits(policy.decide(where.view)) == {"v": 225.0}


def test_with_a_margin_a_limit_that_was_read_as_just_fast_enough_is_not() -> None:
    chosen = {}
    for make in (pinned_to_fastest, pinned_to_fastest_with_margin):
        policy = make(0, SPEEDS)
        where = BOTH.waiting(LIKES_V100)
        where = where.after(policy.decide(where.view))
        # A tenth slower is allowed: 225 W take 6 % more time, and 200 W 9 %.
        for speed, watts in ((1.0, 240.0), (1 / 1.06, 220.0), (1 / 1.09, 190.0), (0.5, 170.0)):
            where = where.read("v", speed, watts)
            where = where.after(policy.decide(where.view))
        chosen[make] = where.view.running["v"].limit_watts
    assert chosen == {pinned_to_fastest: 200.0, pinned_to_fastest_with_margin: 225.0}


def test_the_margin_is_told_and_is_no_part_of_what_the_authors_describe() -> None:
    assert f"a margin of {MARGIN_PERCENT:g} %" in pinned_to_fastest_with_margin(0, SPEEDS).reference
    assert "margin" not in pinned_to_fastest(0, SPEEDS).reference
