"""EASY: the first job that does not fit gets a reservation, and what starts ahead of it does not delay it."""

from __future__ import annotations

import pytest

from ballast.simulate.policies.backfill import EasyBackfill
from tests.unit.simulate.policies.views import SPEEDS, Cluster, cluster, job, starts

BUSY = cluster(v100=1).running(job("there", 4, seconds=1000), "v100-0").waiting(job("first", 8, at=1))
"""The first job can start in 1,000 seconds, on the whole node."""


def started(where: Cluster) -> dict[str, dict[str, int]]:
    return starts(EasyBackfill(0, SPEEDS).decide(where.view))


def test_a_job_that_ends_before_the_reservation_starts() -> None:
    assert started(BUSY.waiting(job("short", 4, at=2, seconds=1000))) == {"short": {"v100-0": 4}}


def test_a_job_that_would_delay_the_first_waits() -> None:
    assert not started(BUSY.waiting(job("long", 1, at=2, seconds=1001)))


def test_what_a_running_job_has_done_brings_the_reservation_nearer() -> None:
    half = cluster(v100=1).running(job("there", 4, seconds=1000), "v100-0", done=0.5).waiting(job("first", 8, at=1))
    assert not started(half.waiting(job("short", 4, at=2, seconds=501)))
    assert started(half.waiting(job("short", 4, at=2, seconds=500)))


@pytest.mark.parametrize(("seconds", "starts_ahead"), [(500, True), (501, False)])
def test_durations_are_those_on_the_gpu_model_at_hand(seconds: float, starts_ahead: bool) -> None:
    where = cluster(a40=1).running(job("there", 4, seconds=1000), "a40-0").waiting(job("first", 8, at=1))
    # On an A40 this kind takes twice as long.
    slow = job("slow", 4, kind="likes-v100", at=2, seconds=seconds)
    assert bool(started(where.waiting(slow))) is starts_ahead


def test_a_long_job_starts_beside_the_reservation() -> None:
    where = cluster(v100=2).running(job("a", 4, seconds=1000), "v100-0").running(job("b", 4, seconds=1000), "v100-1")
    where = where.waiting(job("first", 8, at=1), job("long", 4, at=2, seconds=9000))
    found = started(where)["long"]
    # In 1,000 seconds both nodes would be free but for it: the first job takes the other one.
    assert len(found) == 1
    assert list(found.values()) == [4]
    two = where.waiting(job("long-too", 4, at=3, seconds=9000))
    assert set(started(two)) == {"long"}


def test_jobs_started_in_this_decision_count_for_the_reservation() -> None:
    where = cluster(v100=1).waiting(
        job("now", 4, at=1, seconds=1000), job("first", 8, at=2), job("long", 4, at=3, seconds=1001)
    )
    assert set(started(where)) == {"now"}


def test_several_jobs_that_end_in_time_start() -> None:
    where = BUSY.waiting(*(job(f"short-{index}", at=2 + index, seconds=10) for index in range(5)))
    assert sorted(started(where)) == [f"short-{index}" for index in range(4)]


def test_a_job_that_the_cluster_cannot_hold_gets_no_reservation() -> None:
    where = cluster(v100=1).waiting(job("huge", 32, at=1), job("small", 1, at=2, seconds=9e9))
    assert set(started(where)) == {"small"}
