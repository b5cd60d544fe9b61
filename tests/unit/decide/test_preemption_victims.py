"""Who is stopped for a job of higher priority: the lowest, then those that lose the least, and nobody in vain."""

from __future__ import annotations

from dataclasses import replace

from tests.builders import job
from tests.unit.decide.preempting import URGENT, A, B, chosen, full, plan, refusal, running, victims

SMALL = URGENT.with_gpus(1)


def test_the_lowest_priority_goes_first() -> None:
    others = [running("low", "a", joules=9e6).valued(-5), running("none", "a", joules=1.0)]
    assert victims(SMALL, others, full(A)) == ["low"]


def test_of_equals_the_one_that_loses_the_least() -> None:
    others = [running("dear", "a", joules=9e6), running("cheap", "a", joules=2e6)]
    assert victims(SMALL, others, full(A)) == ["cheap"]


def test_what_nobody_has_measured_counts_as_the_dearest() -> None:
    others = [running("unknown", "a", joules=None), running("dear", "a", joules=9e6)]
    assert victims(SMALL, others, full(A)) == ["dear"]


def test_an_equal_priority_is_not_enough() -> None:
    others = [running("equal", "a", gpus=4).valued(1000)]
    assert refusal(URGENT, others, full(A)) == "no job of a lower priority runs"


def test_waiting_makes_nobody_a_preemptor() -> None:
    old = job("old").with_gpus(1).waiting_since(-1e6)
    assert "no job of a lower priority" in refusal(old, [running("young", "a")], full(A))


def test_a_class_that_is_gone_neither_stops_nor_is_stopped() -> None:
    gone = replace(running("gone", "a", gpus=4).build(), priority=None)
    assert chosen(URGENT.build(), [gone], full(A)) == "no job of a lower priority runs"
    assert chosen(replace(URGENT.build(), priority=None), [gone], full(A)) == "no job of a lower priority runs"


def test_one_without_a_checkpoint_is_left_alone() -> None:
    why = refusal(URGENT, [running("careless", "a", gpus=4, saves=False)], full(A))
    assert "1 run (1 keep no checkpoint), 0 GPUs could be freed" in why


def test_no_more_are_stopped_than_are_needed() -> None:
    others = [running(f"r{index}", "a", joules=index) for index in range(4)]
    assert victims(URGENT.with_gpus(2), others, full(A)) == ["r0", "r1"]


def test_who_is_on_another_node_than_the_gang_goes_to_is_spared() -> None:
    others = [running("elsewhere", "b", joules=1), running("there", "a", gpus=4, joules=2)]
    found = plan(URGENT, others, full(A, B))
    assert [each.name for each in found.victims] == ["there"]
    assert found.nodes == ("a",)


def test_one_large_job_is_enough_where_small_ones_came_before_it() -> None:
    others = [running("one", "a", joules=1), running("three", "a", gpus=3, joules=2)]
    assert victims(URGENT.with_gpus(3), others, full(A)) == ["three"]


def test_nobody_is_stopped_if_that_is_not_enough() -> None:
    why = refusal(URGENT.with_gpus(4), [running("one", "a"), running("two", "a")], full(A))
    assert why == "stopping jobs of lower priority would not make it fit: 2 run, 2 GPUs could be freed"


def test_a_gang_gets_room_on_several_nodes() -> None:
    others = [running("pair", "a", "b", gpus=4, joules=5)]
    found = plan(URGENT.replicas(2), others, full(A, B))
    assert [each.name for each in found.victims] == ["pair"]
    assert found.nodes == ("a", "b")
