"""Waiting jobs stand in lanes of equal requests, oldest first, and are reviewed in turn."""

from __future__ import annotations

import pytest

from ballast.observe import waiting
from ballast.observe.waiting import WaitingJobs
from tests.builders import JobBuilder, job


def queue(*jobs: JobBuilder) -> WaitingJobs:
    jobs_waiting = WaitingJobs()
    for builder in jobs:
        jobs_waiting.put(builder.build())
    return jobs_waiting


def lanes(jobs: WaitingJobs, depth: int = 100) -> list[list[str]]:
    return sorted([member.name for member in members] for _, members in jobs.lanes(depth))


def reviewed(jobs: WaitingJobs, limit: int = 100) -> set[str]:
    return {seen.name for seen in jobs.review(limit)}


SMALL, LARGE = job("small").with_gpus(1), job("large").with_gpus(8)


def test_equal_requests_share_a_lane_oldest_first() -> None:
    jobs = queue(
        job("c").with_gpus(1).waiting_since(-1), LARGE, job("a").with_gpus(1), job("b").with_gpus(1).waiting_since(-2)
    )
    assert lanes(jobs) == [["b", "c", "a"], ["large"]]


def test_only_so_many_of_a_lane() -> None:
    jobs = queue(*[job(name).with_gpus(1) for name in "dcba"])
    assert lanes(jobs, depth=2) == [["a", "b"]]


def test_a_job_changes_lanes_with_its_spec() -> None:
    jobs = queue(SMALL)
    jobs.put(SMALL.with_gpus(2).build())
    assert len(jobs) == 1
    [(gang, _)] = jobs.lanes(1)
    assert gang.gpus_per_pod == 2


def test_who_leaves_leaves_nothing_behind() -> None:
    jobs = queue(SMALL, LARGE)
    jobs.remove("uid-of-small")
    jobs.remove("uid-of-small")
    jobs.remove("uid-of-nobody")
    assert lanes(jobs) == [["large"]]
    assert reviewed(jobs) == {"large"}


def test_a_job_without_a_usable_spec_has_no_lane_but_is_reviewed() -> None:
    jobs = queue(job("odd").with_pod_spec(resourceClaims=[{}]))
    assert lanes(jobs) == []
    assert reviewed(jobs) == {"odd"}


def test_all_that_changed_are_reviewed_and_the_others_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "REVIEWED_PER_CYCLE", 1)
    jobs = queue(*[job(name) for name in "abc"])
    assert reviewed(jobs) == {"a", "b", "c"}
    assert [reviewed(jobs) for _ in range(3)] == [{"b"}, {"c"}, {"a"}]


def test_a_changed_job_is_reviewed_beside_the_one_whose_turn_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "REVIEWED_PER_CYCLE", 1)
    jobs = queue(*[job(name) for name in "abc"])
    jobs.review(100)
    jobs.put(job("a").build())
    assert reviewed(jobs) == {"a", "b"}


def test_who_could_not_be_explained_is_kept_for_the_next_review(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "REVIEWED_PER_CYCLE", 0)
    jobs = queue(SMALL, LARGE)
    jobs.review(100)
    assert reviewed(jobs) == set()
    jobs.keep_for_review(["uid-of-small", "uid-of-nobody"])
    assert reviewed(jobs) == {"small"}


def test_changed_jobs_beyond_the_limit_come_next() -> None:
    jobs = queue(*[job(name) for name in "abc"])
    assert reviewed(jobs, limit=2) == {"a", "b"}
    assert jobs.has_changed
    assert reviewed(jobs, limit=1) == {"c"}
    assert not jobs.has_changed
