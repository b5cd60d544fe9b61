"""What a simulated cluster's objects say: gangs, TrainingJobs, times."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.jobenergy import OperatingPointMode
from ballast.api.trainingjob import TrainingJob
from ballast.errors import UserError
from ballast.simulate.job import TraceJob
from ballast.simulate.world import objects
from ballast.simulate.world.objects import Gang, promised_slowdown_percent
from tests.unit.simulate.running import FAST, SLOW, job, node

FOUR = tuple(node(f"n{index}", 4) for index in range(4))


@pytest.mark.parametrize(
    ("gpus", "pods", "each"),
    [(1, 1, 1), (3, 1, 3), (4, 1, 4), (5, 2, 4), (8, 2, 4), (9, 3, 4), (16, 4, 4)],
)
def test_a_job_is_one_pod_as_long_as_a_node_can_hold_it_and_else_takes_whole_nodes(
    gpus: int, pods: int, each: int
) -> None:
    assert Gang.of(job(gpus=gpus), FOUR) == Gang(pods, each)


def test_whole_nodes_are_of_one_gpu_model() -> None:
    nodes = (node("a", 4), node("b", 4, SLOW), node("c", 2, SLOW), node("d", 2, SLOW))
    # Two nodes of four GPUs are there, but of different models.
    assert Gang.of(job(gpus=8), nodes) == Gang(4, 2)


def test_a_gang_fits_on_gpu_models_with_room_for_all_its_pods() -> None:
    nodes = (node("a", 4), node("b", 4, SLOW), node("c", 4, SLOW))
    assert Gang(1, 4).models_of(nodes) == {FAST, SLOW}
    assert Gang(2, 4).models_of(nodes) == {SLOW}
    assert Gang(2, 2).models_of(nodes) == {FAST, SLOW}
    assert Gang(1, 5).models_of(nodes) == frozenset()


@pytest.mark.parametrize("gpus", [0, 17])
def test_a_job_that_no_cluster_of_this_kind_can_hold_is_refused(gpus: int) -> None:
    with pytest.raises(UserError, match=f"job j: gpus is {gpus}"):
        Gang.of(job(gpus=gpus), FOUR)


def test_a_large_job_beside_nodes_that_its_pods_would_leave_half_used_is_refused() -> None:
    nodes = (node("a", 5), node("b", 5), node("c", 4), node("d", 4))
    with pytest.raises(UserError, match="give all Fast nodes equally many GPUs"):
        Gang.of(job(gpus=15), nodes)
    # One such node does no harm: it is where the job uses less than it holds.
    assert Gang.of(job(gpus=11), (node("a", 5), node("c", 4), node("d", 4))) == Gang(3, 4)


def training_job(given: TraceJob, gang: Gang | None = None) -> TrainingJob:
    return TrainingJob.parse(objects.training_job(given, gang or Gang(1, 2), "job-1", 100.0, 7))


def test_a_training_job_says_what_the_trace_does() -> None:
    made = training_job(replace(job(gpus=8), deadline=3600.0), Gang(4, 2))
    assert made.spec.replicas == 4
    assert made.spec.gpus_per_replica == 2
    assert made.spec.energy.max_slowdown_percent == 10
    assert made.spec.energy.deadline is not None
    assert made.spec.energy.deadline.timestamp() == objects.EPOCH + 3600
    assert made.metadata.creation_timestamp is not None
    assert made.metadata.creation_timestamp.timestamp() == objects.EPOCH + 100


def test_without_a_deadline_there_is_none() -> None:
    assert training_job(job()).spec.energy.deadline is None


def test_the_operator_is_to_leave_its_operating_point_alone() -> None:
    assert training_job(job()).spec.energy.operating_point.mode is OperatingPointMode.NONE


@pytest.mark.parametrize(
    ("allowed", "promised"), [(0.0, 0), (0.9, 0), (10.0, 10), (10.9, 10), (5000.0, 1000), (float("inf"), 1000)]
)
def test_no_more_slowdown_is_promised_than_was_asked_for(allowed: float, promised: int) -> None:
    given = replace(job(), max_slowdown_percent=allowed)
    assert promised_slowdown_percent(given) == promised
    assert training_job(given).spec.energy.max_slowdown_percent == promised


def test_a_negative_slowdown_is_refused() -> None:
    with pytest.raises(UserError, match="job j: max_slowdown_percent is -1; write 0"):
        training_job(replace(job(), max_slowdown_percent=-1.0))
