"""A limit for each job, found by readings at the limits that it ran at, and by nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from ballast.errors import UserError
from ballast.simulate.policies.per_job_limit import PerJobLimit, Profiler, per_job_limit
from tests.unit.simulate.policies.views import Cluster, cluster, job, limits

BOARD: Mapping[float, tuple[float, float]] = {
    250.0: (1.00, 240.0),
    225.0: (0.99, 220.0),
    200.0: (0.97, 190.0),
    175.0: (0.95, 188.0),
    150.0: (0.80, 140.0),
    125.0: (0.60, 120.0),
    100.0: (0.40, 100.0),
}
"""Speed and watts of one GPU by limit. Within 10 %, 175 W is the lowest limit but 200 W needs the fewest joules."""


def profiled(policy: PerJobLimit, where: Cluster, name: str) -> tuple[list[float], Cluster]:
    """Let a job be read again and again until its limit stays; return the limits that it ran at."""
    ran_at = []
    for _ in range(20):
        limit = where.view.running[name].limit_watts
        ran_at.append(limit)
        where = where.read(name, *BOARD[limit])
        steps = policy.decide(where.view)
        where = where.after(steps)
        if not steps:
            return ran_at, where
    raise AssertionError("never settles")


def first_job(policy: PerJobLimit, *, slowdown: float = 10.0, gpus: int = 1) -> Cluster:
    one = replace(job("one", gpus), max_slowdown_percent=slowdown)
    where = cluster(v100=1).waiting(one)
    return where.after(policy.decide(where.view))


def test_it_measures_downwards_from_the_maximum_and_keeps_the_least_joules() -> None:
    policy = per_job_limit(0)
    ran_at, _ = profiled(policy, first_job(policy), "one")
    assert ran_at == [250.0, 225.0, 200.0, 175.0, 150.0, 200.0]


def test_a_tight_slowdown_leaves_what_is_fast_enough() -> None:
    policy = per_job_limit(0)
    ran_at, _ = profiled(policy, first_job(policy, slowdown=2.0), "one")
    assert ran_at == [250.0, 225.0, 200.0, 225.0]


def test_a_loose_slowdown_lets_it_measure_the_whole_range() -> None:
    policy = per_job_limit(0)
    ran_at, _ = profiled(policy, first_job(policy, slowdown=1000.0), "one")
    assert ran_at == [250.0, 225.0, 200.0, 175.0, 150.0, 125.0, 100.0, 150.0]


def test_nothing_is_changed_without_a_reading() -> None:
    policy = per_job_limit(0)
    where = first_job(policy)
    assert limits(policy.decide(where.view)) == {}


def test_a_reading_is_of_one_gpu_however_many_the_job_has() -> None:
    policy = per_job_limit(0)
    _, where = profiled(policy, first_job(policy, gpus=4), "one")
    assert where.view.running["one"].limit_watts == 200.0


def test_the_next_job_of_the_kind_starts_at_the_limit_that_was_found() -> None:
    policy = per_job_limit(0)
    _, where = profiled(policy, first_job(policy), "one")
    where = where.without("one").waiting(job("two"))
    assert limits(policy.decide(where.view)) == {"two": 200.0}


@pytest.mark.parametrize(("kind", "nodes"), [("likes-v100", {"v100": 1}), ("even", {"a40": 1})])
def test_another_kind_or_gpu_model_is_measured_anew(kind: str, nodes: dict[str, int]) -> None:
    policy = per_job_limit(0)
    profiled(policy, first_job(policy), "one")
    where = cluster(**nodes).waiting(job("two", kind=kind))
    assert limits(policy.decide(where.view)) == {"two": 250.0 if "v100" in nodes else 300.0}


def test_jobs_of_a_kind_that_run_together_share_the_measuring() -> None:
    policy = per_job_limit(0)
    where = cluster(v100=1).waiting(job("one"), job("two"))
    where = where.after(policy.decide(where.view)).read("one", *BOARD[250.0])
    assert limits(policy.decide(where.view)) == {"one": 225.0, "two": 225.0}


def test_a_job_with_a_tighter_slowdown_chooses_from_the_same_readings() -> None:
    policy = per_job_limit(0)
    _, where = profiled(policy, first_job(policy), "one")
    tight = replace(job("two"), max_slowdown_percent=2.0)
    assert limits(policy.decide(where.waiting(tight).view)) == {"two": 225.0}


def test_time_counts_with_a_smaller_eta() -> None:
    policy = PerJobLimit("per-job-limit", "", 0, profiler=Profiler(eta=0.0))
    _, where = profiled(policy, first_job(policy), "one")
    assert where.view.running["one"].limit_watts == 250.0


def test_limits_stay_within_the_boards_range() -> None:
    policy = PerJobLimit("per-job-limit", "", 0, profiler=Profiler(step_watts=70.0))
    where = first_job(policy, slowdown=1e9)
    seen = set()
    for _ in range(6):
        limit = where.view.running["one"].limit_watts
        seen.add(limit)
        where = where.read("one", limit, limit)
        where = where.after(policy.decide(where.view))
    assert seen == {250.0, 180.0, 110.0}


def test_the_highest_limit_is_fast_enough_whatever_the_margin() -> None:
    policy = PerJobLimit("per-job-limit", "", 0, profiler=Profiler(margin_percent=3.0))
    _, where = profiled(policy, first_job(policy, slowdown=1.0), "one")
    assert where.view.running["one"].limit_watts == 250.0


@pytest.mark.parametrize(
    ("values", "name"),
    [({"step_watts": 0.0}, "step_watts"), ({"eta": 1.5}, "eta"), ({"margin_percent": -1.0}, "margin_percent")],
)
def test_values_that_make_no_sense_are_refused(values: dict[str, float], name: str) -> None:
    with pytest.raises(UserError, match=f"{name}: .* give"):
        Profiler(**values)
