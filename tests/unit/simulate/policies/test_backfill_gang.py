"""Volcano's way: gangs start whole, what does not fit is passed over, and only 1.2 times the cluster is looked at."""

from __future__ import annotations

from ballast.simulate.policies.backfill import GangBinpackBackfill
from tests.unit.simulate.policies.views import cluster, job, starts


def test_a_gang_that_does_not_fit_whole_is_passed_over() -> None:
    where = cluster(v100=2).running(job("there", 1), "v100-0").waiting(job("gang", 16, at=1), job("small", 2, at=2))
    # 1 GPU is used and 16 are wanted: of 19.2 there are 2 left for the small job.
    assert starts(GangBinpackBackfill(0).decide(where.view)) == {"small": {"v100-0": 2}}


def test_what_is_beyond_the_overcommit_is_not_looked_at() -> None:
    where = cluster(v100=2).running(job("there", 1), "v100-0").waiting(job("gang", 16, at=1), job("medium", 3, at=2))
    assert not GangBinpackBackfill(0).decide(where.view)


def test_a_job_beyond_the_overcommit_does_not_keep_those_behind_it_out() -> None:
    policy = GangBinpackBackfill(0)
    where = cluster(v100=2).running(job("there", 8), "v100-0").waiting(job("gang", 16, at=1), job("small", 8, at=2))
    assert starts(policy.decide(where.view)) == {"small": {"v100-1": 8}}


def test_what_was_let_in_stays_in() -> None:
    policy = GangBinpackBackfill(0)
    where = cluster(v100=2).full("v100-0").running(job("there", 1), "v100-1").waiting(job("first", 8, at=1))
    assert not policy.decide(where.view)
    # 9 GPUs are used and 8 are wanted: a later job of 3 would only have come in instead of the first, not beside it.
    where = where.waiting(job("second", 3, at=2))
    assert not policy.decide(where.view)
    where = where.without("there")
    assert starts(policy.decide(where.view)) == {"first": {"v100-1": 8}}


def test_sessions_follow_each_other_until_nothing_starts() -> None:
    jobs = [job(f"j{index:02}", at=index) for index in range(20)]
    where = cluster(v100=2).waiting(*jobs)
    started = starts(GangBinpackBackfill(0).decide(where.view))
    assert sorted(started) == [one.name for one in jobs[:16]]


def test_it_packs() -> None:
    where = cluster(v100=2).running(job("there", 3), "v100-1").waiting(job("new"))
    assert starts(GangBinpackBackfill(0).decide(where.view)) == {"new": {"v100-1": 1}}
