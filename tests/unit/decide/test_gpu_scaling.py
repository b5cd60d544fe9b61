"""What is expected of jobs on several GPUs."""

from __future__ import annotations

from itertools import pairwise

import pytest

from ballast.decide.model.gpu_scaling import ON_ONE_NODE, OVER_NODES, Scaling, scaling


@pytest.mark.parametrize(("nodes", "table"), [(1, ON_ONE_NODE), (2, OVER_NODES), (4, OVER_NODES)])
def test_measured_numbers_are_as_measured(nodes: int, table: tuple[Scaling, ...]) -> None:
    measured = [entry for entry in table if entry.gpus >= nodes]
    assert [scaling(entry.gpus, nodes) for entry in measured] == measured


def test_one_gpu_is_used_fully() -> None:
    assert (scaling(1).efficiency, scaling(1).speedup) == (1.0, 1.0)


@pytest.mark.parametrize("nodes", [1, 2])
def test_efficiency_never_rises_and_lies_within_its_quartiles(nodes: int) -> None:
    found = [scaling(gpus, nodes) for gpus in range(nodes, 129)]
    assert all(low.efficiency >= high.efficiency for low, high in pairwise(found))
    assert all(0 < each.low <= each.efficiency <= each.high <= 1 for each in found)


def test_spreading_the_same_gpus_over_nodes_never_helps() -> None:
    assert all(scaling(gpus, 2).efficiency <= scaling(gpus).efficiency for gpus in range(2, 65))


def test_three_gpus_lie_between_two_and_four() -> None:
    two, three, four = (scaling(gpus, 2).efficiency for gpus in (2, 3, 4))
    assert two > three > four


def test_beyond_the_measurements_each_doubling_costs_what_the_last_one_did() -> None:
    four, eight, sixteen, thirty_two = (scaling(gpus, 2) for gpus in (4, 8, 16, 32))
    lost = eight.efficiency / four.efficiency
    assert sixteen.efficiency / eight.efficiency == pytest.approx(lost)
    assert thirty_two.efficiency / sixteen.efficiency == pytest.approx(lost)
    assert (eight.series > 0, sixteen.series) == (True, 0)


@pytest.mark.parametrize(("gpus", "nodes"), [(0, 1), (2, 3), (4, 0)])
def test_a_node_without_a_gpu_is_refused(gpus: int, nodes: int) -> None:
    with pytest.raises(ValueError, match=f"{gpus} GPUs on {nodes} nodes"):
        scaling(gpus, nodes)
