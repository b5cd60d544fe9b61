"""The cluster whose cycles are timed: how full it is, who waits, and that it stays so."""

from __future__ import annotations

from random import Random

import pytest

from tests.bench.big_cluster import WAITING_SIZES as SIZES
from tests.bench.big_cluster import BigCluster, shapes


@pytest.fixture(scope="module")
def cluster() -> BigCluster:
    return BigCluster(nodes=24, waiting=30, seed=0)


def test_three_quarters_are_in_use_and_as_many_wait_as_should(cluster: BigCluster) -> None:
    assert cluster.gpus_in_use == pytest.approx(0.75, abs=0.06)
    assert cluster.waiting == 30


def test_as_many_wait_after_some_cycles(cluster: BigCluster) -> None:
    for _ in range(10):
        cluster.next_cycle()
        assert 27 <= cluster.waiting <= 30  # but for those that this cycle placed
    assert len(cluster.seconds) == len(cluster.processor_seconds) == 10
    assert cluster.gpus_in_use == pytest.approx(0.75, abs=0.15)


def test_the_same_seed_is_the_same_cluster() -> None:
    one, other = (BigCluster(nodes=6, waiting=5, seed=1) for _ in range(2))
    for each in (one, other):
        each.next_cycle()
    assert (one.gpus_in_use, one.waiting) == (other.gpus_in_use, other.waiting)


def test_requests_are_distinct() -> None:
    found = shapes(2000, SIZES, Random(0))  # noqa: S311 - no secret
    assert len(set(found)) == 2000
