"""Load: GPU-seconds asked for at the highest limits, over those that there are while jobs arrive."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import UserError
from ballast.simulate.inputs.load import offered_load, scaled_to_load
from ballast.simulate.job import TraceJob
from tests.unit.simulate.published import a40, level, v100

JOBS = [TraceJob("a", "k", 0.0, 2, 100.0, deadline=300.0), TraceJob("b", "k", 50.0, 1, 100.0)]
CURVES = level(("k",), a40_speed=2.0)


def test_a_jobs_seconds_are_its_mean_over_the_clusters_gpus() -> None:
    """300 GPU-seconds on a V100 are 150 on an A40: 225 on average, of 16 GPUs for 50 s."""
    assert offered_load(JOBS, [v100("v"), a40("a")], CURVES) == pytest.approx(225 / (16 * 50))


def test_the_window_begins_with_the_first_submission() -> None:
    later = [replace(job, submitted_at=job.submitted_at + 1000, deadline=None) for job in JOBS]
    assert offered_load(later, [v100("v")], CURVES) == offered_load(JOBS, [v100("v")], CURVES)


def test_a_model_counts_by_its_gpus() -> None:
    nodes = [v100("v", gpus=2), a40("a"), a40("b", gpus=2)]
    assert offered_load(JOBS, nodes, CURVES) == pytest.approx(300 * (2 + 10 / 2) / 12 / (12 * 50))


def test_the_highest_limit_is_the_nodes_own() -> None:
    """At 100 W it is half as fast."""
    assert offered_load(JOBS, [replace(v100("v"), max_limit_watts=100)], CURVES) == pytest.approx(600 / (8 * 50))


def test_scaling_moves_submissions_and_deadlines_alone() -> None:
    nodes = [v100("v")]
    first, second = scaled_to_load(JOBS, 0.5, nodes, CURVES)
    assert offered_load([first, second], nodes, CURVES) == pytest.approx(0.5)
    assert first == JOBS[0]
    assert second == replace(JOBS[1], submitted_at=75.0)
    moved = scaled_to_load([JOBS[1], replace(JOBS[0], submitted_at=150.0, deadline=450.0)], 0.5, nodes, CURVES)[1]
    assert moved.deadline == pytest.approx(moved.submitted_at + 300)
    assert moved.submitted_at != 150


@pytest.mark.parametrize("load", [0.0, -1.0, float("nan"), float("inf")])
def test_a_load_that_cannot_be_is_refused(load: float) -> None:
    with pytest.raises(UserError, match="load: must be above 0"):
        scaled_to_load(JOBS, load, [v100("v")], CURVES)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_jobs_of_one_moment_have_no_load(count: int) -> None:
    with pytest.raises(UserError, match=f"all {count} jobs come at one moment"):
        offered_load([JOBS[0]] * count, [v100("v")], CURVES)
