"""What the exact optimum is where it can be told by hand."""

from __future__ import annotations

import pytest

from ballast.errors import UserError
from ballast.simulate.bounds.milp import optimum
from tests.unit.simulate.bounds.instances import BASE_WATTS, IDLE_WATTS, curve, curves, job, node, problem


def test_a_job_alone_runs_at_the_limit_of_least_energy() -> None:
    found = optimum(problem([job("a")], [node("n")], horizon=100))
    [placed] = found.schedule.placed
    # 12 s x 170 W, 16 s x 100 W and 24 s x 70 W above idle: the least lies at 150 W
    assert [placed.limit_watts, placed.end - placed.start] == pytest.approx([150, 16])
    assert found.joules == pytest.approx(100 * (BASE_WATTS + 2 * IDLE_WATTS) + 16 * 100)
    assert found.proven
    assert found.gap == pytest.approx(0, abs=1e-6)


def test_a_slowdown_is_used_to_its_end_between_two_measured_limits() -> None:
    found = optimum(problem([job("a", slowdown=20)], [node("n")], horizon=100))
    [placed] = found.schedule.placed
    assert placed.end - placed.start == pytest.approx(12 * 1.2)
    # speed 1/1.2 lies a third of the way from 150 W to 200 W, and so do the watts
    assert placed.limit_watts == pytest.approx(150 + 50 / 3)
    assert found.joules - 100 * (BASE_WATTS + 2 * IDLE_WATTS) == pytest.approx(14.4 * (120 + 70 / 3 - IDLE_WATTS))


def test_slowdown_is_counted_from_the_fastest_gpu_model() -> None:
    swift = curves(curve("dense", "old", (200, 1.0, 100)), curve("dense", "new", (300, 2.0, 220)))
    nodes = [node("o"), node("n", "new")]
    models = []
    for slowdown in (60, 100):  # 6 s at 200 W above idle, or 12 s at 80 W
        [placed] = optimum(problem([job("a", slowdown=slowdown)], nodes, 100, given=swift)).schedule.placed
        models.append(placed.gpu_model)
    assert models == ["new", "old"]


def test_without_slowdown_the_least_energy_counts() -> None:
    at_ease = problem([job("a", slowdown=0)], [node("o"), node("n", "new")], horizon=100, slowdown=False)
    [placed] = optimum(at_ease).schedule.placed
    assert placed.gpu_model == "new"
    assert placed.limit_watts == pytest.approx(200)


def test_a_near_horizon_makes_jobs_run_faster() -> None:
    jobs = [job("a"), job("b")]
    on_one_gpu = [node("n", gpus=1)]
    slow, fast = (optimum(problem(jobs, on_one_gpu, horizon=horizon)) for horizon in (32, 24))
    assert [placed.limit_watts for placed in slow.schedule.placed] == pytest.approx([150, 150])
    assert [placed.limit_watts for placed in fast.schedule.placed] == pytest.approx([200, 200])


def test_watts_go_where_they_save_the_most_time() -> None:
    """Two jobs on one GPU have 28 s: both at 14 s, or 12 and 16, is the same on one straight piece."""
    found = optimum(problem([job("a"), job("b")], [node("n", gpus=1)], horizon=28))
    dynamic = found.joules - 28 * (BASE_WATTS + IDLE_WATTS)
    assert dynamic == pytest.approx(12 * 170 + 16 * 100)


def test_a_deadline_is_kept_only_if_asked_for() -> None:
    jobs = [job("a", deadline=12)]
    kept, ignored = (optimum(problem(jobs, [node("n")], 100, deadlines=deadlines)) for deadlines in (True, False))
    assert kept.schedule.placed[0].limit_watts == pytest.approx(200)
    assert ignored.schedule.placed[0].limit_watts == pytest.approx(150)
    assert kept.joules > ignored.joules


def test_a_job_larger_than_a_node_takes_whole_nodes_of_one_model() -> None:
    nodes = [node("o1"), node("n1", "new"), node("n2", "new")]
    [placed] = optimum(problem([job("a", gpus=4)], nodes, horizon=100)).schedule.placed
    assert placed.nodes == {"n1": 2, "n2": 2}


def test_jobs_share_a_node_as_long_as_it_has_gpus() -> None:
    jobs = [job("a", gpus=1), job("b", gpus=2), job("c", gpus=1)]
    found = optimum(problem(jobs, [node("n")], horizon=32))
    one, both, other = found.schedule.placed
    assert one.start == other.start
    assert sorted([one.start, both.start]) == pytest.approx([0, 16])


def test_the_last_of_several_nodes_is_shared() -> None:
    """Three GPUs are a node and a half: the other half has room for a job at the same time."""
    nodes = [node("n1"), node("n2")]
    large, small = optimum(problem([job("a", gpus=3), job("b")], nodes, horizon=16)).schedule.placed
    assert sorted(large.nodes.values()) == [1, 2]
    assert large.start == small.start == 0


def test_the_last_of_several_nodes_is_one() -> None:
    """Six GPUs are one node and a half: a node and a GPU on each of two others will not do."""
    nodes = [node(name, gpus=4) for name in "xyz"]
    jobs = [job("a", gpus=6), job("b", gpus=3), job("c", gpus=3)]
    with pytest.raises(UserError, match="no schedule"):
        optimum(problem(jobs, nodes, horizon=16))
    large, *small = optimum(problem(jobs, nodes, horizon=32)).schedule.placed
    assert sorted(large.nodes.values()) == [2, 4]
    assert {each.start for each in small} != {large.start}
