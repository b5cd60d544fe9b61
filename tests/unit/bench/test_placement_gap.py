"""The gap to the optimum: what each side counts, on instances small enough to see through."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import pytest

from ballast.decide.gang_request import GangRequest
from ballast.decide.gpu_models import A40, A100, H100, GpuModel
from ballast.decide.node import Node
from tests.bench.placement_gap import EngineCosts, cost_of, decided, gap, instance, instances, least_cost
from tests.builders import NodeBuilder, job, node

COSTS = EngineCosts()


def _node(name: str, model: str, gpus: int) -> NodeBuilder:
    return node(name).with_gpus(model, gpus).with_cpus(512, 4096)


def test_a_job_alone_is_placed_best() -> None:
    given = instance([_node("a", "A100", 4), _node("b", "H100", 4)], [job("one").with_gpus(4).slowed_by_at_most(300)])
    costs = [COSTS.placed(given.gangs["one"], model, given.nodes) for model in (A100, H100)]
    assert least_cost(given, COSTS) == pytest.approx(min(cost for cost in costs if cost is not None))
    assert gap(given, COSTS) == pytest.approx(0.0)


def test_too_slow_a_model_is_not_for_it() -> None:
    given = instance([_node("a", "A40", 4), _node("b", "H100", 4)], [job("one").with_gpus(4).slowed_by_at_most(0)])
    gang = given.gangs["one"]
    assert COSTS.placed(gang, A40, given.nodes) is None
    assert (COSTS.placed(gang, H100, given.nodes) or 0) > 0


def test_who_waits_costs_more_than_any_placement() -> None:
    given = instance([_node("a", "A100", 4), _node("b", "H100", 4)], [job("one").with_gpus(2).slowed_by_at_most(300)])
    gang = given.gangs["one"]
    placed = [COSTS.placed(gang, model, given.nodes) for model in (A100, H100)]
    assert COSTS.waiting(gang, given.nodes) > max(cost for cost in placed if cost is not None)
    assert cost_of(given, {}, COSTS) == COSTS.waiting(gang, given.nodes)


def test_the_optimum_lets_the_one_wait_that_costs_least() -> None:
    jobs = [job("small").with_gpus(1).waiting_since(-9), job("large").with_gpus(4)]
    given = instance([_node("a", "A100", 4)], jobs)
    waits = COSTS.waiting(given.gangs["small"], given.nodes)
    large = COSTS.placed(given.gangs["large"], A100, given.nodes)
    assert large is not None
    assert least_cost(given, COSTS) == pytest.approx(waits + large)
    # The queue's order counts for `decide`: the small one came first.
    assert decided(given) == {"small": A100}
    assert gap(given, COSTS) == pytest.approx(50.0)


def test_no_gang_is_split_over_models() -> None:
    jobs = [job("one").replicas(2).with_gpus(4).slowed_by_at_most(300)]
    given = instance([_node("a", "A100", 4), _node("b", "H100", 4)], jobs)
    assert COSTS.placed(given.gangs["one"], A100, given.nodes) is None
    assert least_cost(given, COSTS) == COSTS.waiting(given.gangs["one"], given.nodes) == 0.0


def test_what_is_taken_already_is_nobodys() -> None:
    given = instance([_node("a", "A100", 4).using(gpus=2)], [job("one").with_gpus(4)])
    assert least_cost(given, COSTS) == pytest.approx(COSTS.waiting(given.gangs["one"], given.nodes))


def test_any_costs_can_be_judged_by() -> None:
    class Waking(EngineCosts):
        """Waiting costs nothing, so that the best is to do nothing."""

        def waiting(self, gang: GangRequest, nodes: Sequence[Node]) -> float:
            """See `Costs`."""
            return 0.0

    given = instance([_node("a", "A100", 4)], [job("one").with_gpus(4)])
    assert least_cost(given, Waking()) == 0.0


def test_a_placement_where_none_may_be_is_a_mistake() -> None:
    given = instance([_node("a", "A40", 4), _node("b", "H100", 4)], [job("one").with_gpus(4).slowed_by_at_most(0)])
    with pytest.raises(ValueError, match="one was placed"):
        cost_of(given, {"one": A40}, COSTS)


def test_instances_are_small_distinct_and_reproducible() -> None:
    found = list(islice(instances(20, seed=3), 20))
    assert [each.gangs for each in found] == [each.gangs for each in instances(20, seed=3)]
    for each in found:
        models: set[GpuModel | None] = {one.gpu_model for one in each.nodes}
        assert len(each.nodes) <= 6
        assert len(models) <= 3
        assert 2 <= len(each.gangs) <= 8
        assert len({(gang.replicas, gang.gpus_per_pod) for gang in each.gangs.values()}) == len(each.gangs)


def test_nothing_that_is_decided_beats_the_optimum() -> None:
    assert all(gap(each, COSTS) >= 0 for each in instances(20, seed=4))
