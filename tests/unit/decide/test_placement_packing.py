"""On which nodes of a GPU model a gang goes: few nodes, those in use, the tightest fit."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.decide.capacity import Capacity
from ballast.decide.gpu_models import A100
from ballast.decide.placement import Placement, place
from tests.builders import NodeBuilder, job, node
from tests.unit.decide.placing import placed, refused


def a100s(name: str, count: int) -> NodeBuilder:
    return node(name).with_gpus("A100", count)


def test_one_node_before_two() -> None:
    two = job("gang").with_gpus(4).replicas(2)
    assert placed(two, a100s("a", 4), a100s("b", 4), a100s("c", 8)).nodes == ("c", "c")


def test_two_nodes_where_one_does_not_hold_it() -> None:
    two = job("gang").with_gpus(4).replicas(2)
    assert placed(two, a100s("a", 4), a100s("b", 4)).nodes == ("a", "b")


def test_as_few_nodes_as_possible_for_the_rest_too() -> None:
    five = job("gang").with_gpus(1).replicas(5)
    # 4 on the largest; the last one fills the smallest rest.
    assert placed(five, a100s("a", 2), a100s("b", 1), a100s("c", 4)).nodes == ("c", "c", "c", "c", "b")


def test_a_node_in_use_before_one_that_would_have_to_wake() -> None:
    busy = a100s("z", 8).using(gpus=1)
    assert placed(job("one").with_gpus(1), a100s("a", 1), busy).nodes == ("z",)


def test_a_node_that_this_cycle_has_given_away_in_part_is_in_use() -> None:
    small, large = a100s("a", 4).build(), a100s("z", 8).build()
    capacity = Capacity([small, large])
    four = job("four").with_gpus(4).gang()
    capacity.reserve(large, four.resources)
    outcome = place(four, capacity)
    assert isinstance(outcome, Placement)
    assert outcome.nodes == ("z",)


def test_the_tightest_fit_among_equals() -> None:
    assert placed(job("two").with_gpus(2), a100s("a", 8), a100s("b", 2), a100s("c", 4)).nodes == ("b",)


def test_the_name_decides_between_equals() -> None:
    assert placed(job("one").with_gpus(1), a100s("b", 8), a100s("a", 8)).nodes == ("a",)


def test_a_gang_never_spans_gpu_models() -> None:
    two = job("gang").with_gpus(8).replicas(2).slowed_by_at_most(1000)
    refusal = refused(two, a100s("a", 8), node("h").with_gpus("H100", 8))
    assert refusal.reason is Reason.CLUSTER_TOO_SMALL


def test_a_gang_on_several_nodes_has_one_gpu_model() -> None:
    two = job("gang").with_gpus(8).replicas(2).slowed_by_at_most(1000)
    placement = placed(two, a100s("a", 8), node("h").with_gpus("H100", 8), a100s("z", 8))
    assert placement.nodes == ("a", "z")
    assert placement.gpu_model is A100


@pytest.mark.parametrize(
    "tight",
    [
        a100s("a", 8).using(cpus=31.5),
        a100s("a", 8).using(memory_gib=127),
        a100s("a", 8).using(pods=110),
    ],
    ids=["cpu", "memory", "pods"],
)
def test_gpus_alone_are_not_enough(tight: NodeBuilder) -> None:
    asking = job("one").with_gpus(1).with_cpus(1, "2Gi")
    assert placed(asking, tight, a100s("b", 8)).nodes == ("b",)


def test_an_overcommitted_node_takes_who_asks_for_nothing_of_what_it_lacks() -> None:
    overcommitted = a100s("a", 8).using(memory_gib=200)
    assert placed(job("one").with_gpus(1), overcommitted).nodes == ("a",)
    refused(job("one").with_gpus(1).with_cpus(1, "1Gi"), overcommitted)


def test_ineligible_nodes_are_left_out() -> None:
    one = job("one").with_gpus(1)
    assert placed(one, a100s("a", 1).cordoned(), a100s("b", 1).not_ready(), a100s("c", 8)).nodes == ("c",)


def test_cpu_jobs_avoid_nodes_with_gpus() -> None:
    # Tighter and first by name, but its GPUs would be kept from others.
    gpus = a100s("a", 8).with_cpus(2)
    assert placed(job("cpu"), gpus, node("b")).nodes == ("b",)


def test_cpu_jobs_use_nodes_with_gpus_where_nothing_else_is_left() -> None:
    assert placed(job("cpu"), a100s("a", 8), node("b").using(cpus=32)).nodes == ("a",)


def test_a_cpu_placement_predicts_no_gpu_power() -> None:
    placement = placed(job("cpu").replicas(2), node("a"))
    assert placement.gpu_model is None
    assert placement.predicted_watts is None
    assert placement.message == "2 pods on a"
