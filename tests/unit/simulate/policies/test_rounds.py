"""Which GPUs the jobs of a round get: large ones first, and each where it was if that can be."""

from __future__ import annotations

from collections.abc import Mapping

from ballast.simulate.job import TraceJob
from ballast.simulate.policies.packing import Placement, Room
from ballast.simulate.policies.rounds import pack
from tests.unit.simulate.policies.views import cluster, job


def packed(*jobs: TraceJob, before: Mapping[str, Placement] | None = None, nodes: int = 2) -> dict[str, Placement]:
    return pack({"V100": jobs}, before or {}, Room.of(cluster(v100=nodes, a40=1).view))


def test_jobs_stay_where_they_are() -> None:
    before = {"a": {"v100-1": 2}, "b": {"v100-0": 2}}
    assert packed(job("a", 2), job("b", 2), before=before) == before


def test_a_large_job_is_placed_before_small_ones_that_run() -> None:
    before = {"a": {"v100-0": 1}, "b": {"v100-1": 1}}
    found = packed(job("a"), job("b"), job("large", 8), before=before)
    assert found["large"] == {"v100-0": 8}
    assert found["a"] == found["b"] == {"v100-1": 1}


def test_a_new_job_moves_as_few_as_possible() -> None:
    before = {f"a{index}": {"v100-0": 1} for index in range(6)} | {"b": {"v100-1": 1}}
    found = packed(*(job(name) for name in before), job("new", 4), before=before)
    assert found == {**before, "new": {"v100-1": 4}}


def test_a_job_larger_than_a_node_takes_whole_nodes() -> None:
    found = packed(job("gang", 16), job("small"), nodes=3, before={"small": {"v100-0": 1}})
    assert found == {"gang": {"v100-1": 8, "v100-2": 8}, "small": {"v100-0": 1}}


def test_what_does_not_fit_beside_the_others_gets_nothing() -> None:
    found = packed(job("a", 6), job("b", 6), job("c", 4))
    assert set(found) == {"a", "b"}


def test_a_job_that_ran_on_another_gpu_model_is_placed_anew() -> None:
    assert packed(job("a"), before={"a": {"a40-0": 1}}, nodes=1) == {"a": {"v100-0": 1}}


def test_nodes_that_are_off_stay_off_where_others_are_free() -> None:
    room = Room.of(cluster(v100=2).off("v100-0").view)
    assert pack({"V100": [job("a")]}, {}, room) == {"a": {"v100-1": 1}}
