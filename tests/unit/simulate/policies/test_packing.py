"""Where a job fits, and which of the nodes that fit a score prefers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.packing import Packer, Placement, Room, start_in_order
from tests.unit.simulate.policies.views import Cluster, cluster, job, starts

SEEDS = range(20)
"""Enough that a chance of one half shows both sides: all alike would happen once in half a million."""

PACKING = Packer(0, spread=False)
SPREADING = Packer(0, spread=True)


def placed(packer: Packer, gpus: int, where: Cluster) -> Placement | None:
    room = Room.of(where.view)
    return packer.place(gpus, room, room.models)


def used(where: Cluster, **gpus: int) -> Cluster:
    for node, count in gpus.items():
        where = where.running(job(f"on-{node}", count), node.replace("_", "-"))
    return where


def test_packing_takes_the_fullest_node_that_fits() -> None:
    where = used(cluster(v100=3), v100_0=2, v100_1=5)
    assert placed(PACKING, 2, where) == {"v100-1": 2}
    assert placed(PACKING, 4, where) == {"v100-0": 4}


def test_spreading_takes_the_emptiest_node() -> None:
    assert placed(SPREADING, 2, used(cluster(v100=3), v100_0=2, v100_1=5)) == {"v100-2": 2}


def test_a_score_is_a_share_of_the_node_not_a_count() -> None:
    nodes = {**cluster(v100=1).view.nodes, **cluster(a40=1, gpus=4).view.nodes}
    room = Room(nodes, {"v100-0": 8, "a40-0": 4})
    assert PACKING.place(2, room, room.models) == {"a40-0": 2}
    assert SPREADING.place(2, room, room.models) == {"v100-0": 2}


@pytest.mark.parametrize("spread", [True, False])
def test_ties_are_broken_by_the_seed(spread: bool) -> None:
    first = [placed(Packer(seed, spread=spread), 1, cluster(v100=2)) for seed in SEEDS]
    again = [placed(Packer(seed, spread=spread), 1, cluster(v100=2)) for seed in SEEDS]
    assert first == again
    assert {"v100-0": 1} in first
    assert {"v100-1": 1} in first


def test_more_than_a_nodes_gpus_take_whole_nodes_of_one_model() -> None:
    where = used(cluster(v100=2, a40=3), v100_0=1, a40_2=1)
    assert placed(PACKING, 16, where) == {"a40-0": 8, "a40-1": 8}
    assert placed(SPREADING, 24, where) is None


def test_chance_chooses_among_models_with_enough_whole_nodes() -> None:
    found = [placed(Packer(seed, spread=False), 16, cluster(v100=2, a40=2)) for seed in SEEDS]
    assert {"v100-0": 8, "v100-1": 8} in found
    assert {"a40-0": 8, "a40-1": 8} in found


def test_a_job_is_not_split_over_nodes_that_could_hold_it_whole() -> None:
    assert placed(PACKING, 8, used(cluster(v100=2), v100_0=4, v100_1=4)) is None


def test_a_node_that_is_off_is_taken_only_when_no_other_fits() -> None:
    where = used(cluster(v100=2), v100_0=1).off("v100-0")
    assert placed(PACKING, 4, where) == {"v100-1": 4}
    assert placed(PACKING, 4, where.full("v100-1")) == {"v100-0": 4}


def test_of_whole_nodes_the_fewest_are_booted() -> None:
    where = cluster(v100=2, a40=3).off("v100-0", "a40-1")
    assert {frozenset(placed(Packer(seed, spread=True), 16, where) or ()) for seed in SEEDS} == {
        frozenset({"a40-0", "a40-2"})
    }


def test_one_that_does_not_fit_blocks_nobody() -> None:
    where = cluster(v100=1).waiting(job("first", 4, at=1), job("large", 8, at=2), job("small", 4, at=3))
    started = starts(start_in_order(where.view.waiting, Room.of(where.view), PACKING))
    assert started == {"first": {"v100-0": 4}, "small": {"v100-0": 4}}


def test_looking_stops_when_no_gpu_is_left() -> None:
    def jobs() -> Iterator[TraceJob]:
        yield job("last", 8)
        yield job("too-late")
        raise AssertionError("looked at a job though no GPU was free")

    assert len(start_in_order(jobs(), Room.of(cluster(v100=1).view), PACKING)) == 1
