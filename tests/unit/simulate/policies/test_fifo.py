"""FIFO as kube-scheduler does it: in the order of submission, passing over what does not fit, at the maximum limit."""

from __future__ import annotations

import pytest

from ballast.simulate.policies.fifo import Fifo, fifo_binpack, fifo_spread
from tests.unit.simulate.policies.views import Cluster, cluster, job, limits, starts

TWO_NODES_HALF_USED = cluster(v100=2).running(job("there", 4), "v100-0")


@pytest.mark.parametrize(("policy", "node"), [(fifo_spread(0), "v100-1"), (fifo_binpack(0), "v100-0")])
def test_the_arms_differ_in_where_they_place(policy: Fifo, node: str) -> None:
    assert starts(policy.decide(TWO_NODES_HALF_USED.waiting(job("new")).view)) == {"new": {node: 1}}


def test_who_came_first_is_served_first() -> None:
    where = cluster(v100=1).waiting(job("late", 8, at=2), job("early", 8, at=1))
    assert starts(fifo_binpack(0).decide(where.view)) == {"early": {"v100-0": 8}}


def test_jobs_run_at_the_maximum_limit_of_their_node() -> None:
    where = cluster(v100=1, a40=1).waiting(job("a", 8), job("b", 8))
    assert sorted(limits(fifo_spread(0).decide(where.view)).values()) == [250.0, 300.0]


def passes_over(policy: Fifo) -> Cluster:
    """A node that is half free, with a job that waits for all of it; the policy has seen it."""
    where = cluster(v100=1).running(job("there", 4), "v100-0").waiting(job("large", 8, at=1)).at(1)
    assert not policy.decide(where.view)
    return where


def test_a_job_that_comes_later_is_started_beside_one_that_does_not_fit() -> None:
    policy = fifo_binpack(0)
    where = passes_over(policy).at(2).waiting(job("small", 4, at=2))
    assert starts(policy.decide(where.view)) == {"small": {"v100-0": 4}}


def test_a_job_of_the_very_moment_of_the_last_decision_is_not_overlooked() -> None:
    policy = fifo_binpack(0)
    where = passes_over(policy).waiting(job("small", 4, at=1))
    assert starts(policy.decide(where.view)) == {"small": {"v100-0": 4}}


def test_a_job_that_was_passed_over_starts_when_gpus_are_freed() -> None:
    policy = fifo_binpack(0)
    where = passes_over(policy).at(2).without("there")
    assert starts(policy.decide(where.view)) == {"large": {"v100-0": 8}}


def test_neither_keeps_the_slowdown() -> None:
    assert not fifo_spread(0).keeps_slowdown
    assert not fifo_binpack(0).keeps_slowdown
