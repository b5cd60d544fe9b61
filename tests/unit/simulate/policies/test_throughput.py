"""Gavel's way: rounds of six minutes, in which the jobs with the most throughput run where they gain most."""

from __future__ import annotations

from collections import Counter

from ballast.simulate.policies.throughput import ROUND_SECONDS, MaxThroughput
from tests.unit.simulate.policies.views import SPEEDS, Cluster, cluster, job, limits, starts, stops, wake_ups

BOTH = cluster(v100=1, a40=1)


def arm() -> MaxThroughput:
    return MaxThroughput(0, SPEEDS)


def models_of(where: Cluster) -> dict[str, str]:
    return {name: one.gpu_model for name, one in where.view.running.items()}


def test_jobs_go_where_they_gain_most() -> None:
    where = BOTH.waiting(*(job(f"a{i}", kind="likes-a40") for i in range(8)), *(job(f"e{i}") for i in range(8)))
    steps = arm().decide(where.view)
    assert Counter((name[0], model) for name, model in models_of(where.after(steps)).items()) == {
        ("a", "A40"): 8,
        ("e", "V100"): 8,
    }
    assert set(limits(steps).values()) == {250.0, 300.0}


def test_the_next_round_is_six_minutes_later_and_nothing_happens_until_then() -> None:
    policy = arm()
    where = BOTH.waiting(job("a")).at(100)
    steps = policy.decide(where.view)
    assert wake_ups(steps) == [100 + ROUND_SECONDS]
    where = where.after(steps).waiting(job("b", at=200))
    assert not policy.decide(where.at(200).view)
    assert set(starts(policy.decide(where.at(460).view))) == {"b"}


def test_a_round_ends_early_when_nothing_runs_any_more() -> None:
    policy = arm()
    where = BOTH.waiting(job("a"))
    where = where.after(policy.decide(where.view)).without("a").waiting(job("b", at=10)).at(10)
    assert set(starts(policy.decide(where.view))) == {"b"}


def test_an_empty_cluster_is_left_in_peace() -> None:
    assert not arm().decide(BOTH.view)


def test_jobs_that_keep_their_place_are_not_touched() -> None:
    policy = arm()
    where = BOTH.waiting(*(job(f"j{i}", 2, at=i) for i in range(12)))
    where = where.after(policy.decide(where.view))
    steps = policy.decide(where.at(ROUND_SECONDS).view)
    assert not starts(steps)
    assert not stops(steps)


def test_a_job_that_gains_more_pushes_another_to_the_other_gpu_model() -> None:
    policy = arm()
    where = cluster(a40=1, v100=1).waiting(*(job(f"e{i}") for i in range(8)))
    where = where.after(policy.decide(where.view))
    where = where.waiting(*(job(f"a{i}", kind="likes-a40", at=1) for i in range(8))).at(ROUND_SECONDS)
    after = models_of(where.after(policy.decide(where.view)))
    assert {name: model for name, model in after.items() if name[0] == "a"} == {f"a{i}": "A40" for i in range(8)}
    assert {name: model for name, model in after.items() if name[0] == "e"} == {f"e{i}": "V100" for i in range(8)}


def test_more_work_than_gpus_leaves_no_gpu_idle() -> None:
    where = BOTH.waiting(*(job(f"j{i}", 4, at=i) for i in range(3)), *(job(f"k{i}", at=3) for i in range(9)))
    after = where.after(arm().decide(where.view))
    assert not any(after.view.free.values())


def rounds(where: Cluster, count: int) -> Counter[str]:
    """Return in how many rounds each job ran, when none ends."""
    policy = arm()
    ran: Counter[str] = Counter()
    for index in range(count):
        where = where.at(index * ROUND_SECONDS)
        where = where.after(policy.decide(where.view))
        ran.update(list(where.view.running))
    return ran


def test_jobs_that_do_not_fit_together_take_turns() -> None:
    ran = rounds(cluster(v100=1).waiting(job("a", 6), job("b", 6, at=1)), 12)
    assert ran.total() == 12
    assert min(ran.values()) >= 3


def test_a_gang_with_part_of_a_share_runs_whole_in_part_of_the_rounds() -> None:
    small = [job(f"small-{i}", kind="likes-a40") for i in range(4)]
    # The small jobs gain more, and leave half of the GPUs: the gang is owed half of the time, and needs all GPUs.
    ran = rounds(cluster(a40=1).waiting(*small, job("gang", 8)), 16)
    assert 3 <= ran["gang"] <= 5
    assert {ran[one.name] for one in small} == {16 - ran["gang"]}
