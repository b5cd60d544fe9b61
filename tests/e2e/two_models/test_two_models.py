"""On GPUs of two models the same work takes fewer joules under Ballast than under kube-scheduler alone."""

from __future__ import annotations

import pytest

from tests.demo.comparison.boards import Boards
from tests.demo.comparison.result import Comparison, Ran, problems
from tests.demo.comparison.workloads import MAX_SLOWDOWN_PERCENT, WORKLOADS, ten_jobs

pytestmark = pytest.mark.slow

LEAST_SAVED_PERCENT = 5.0
MEASURED_WITHIN_PERCENT = 10.0
"""Of a job that takes ten seconds: the quota follows the board a tenth of a second late, and power comes in ticks."""


def slowdown_percent(ran: Ran) -> float:
    """Return how much longer a job trained than on the same GPU model without a limit."""
    assert ran.trained is not None, ran.problem
    workload = ran.job.workload
    return 100 * (ran.trained.seconds / (workload.steps * workload.step_seconds[ran.trained.model]) - 1)


def test_all_jobs_end_well_and_the_boards_are_as_they_were(comparison: Comparison) -> None:
    assert problems(comparison) == []


def test_the_same_work_was_done(comparison: Comparison) -> None:
    asked = sum(job.workload.steps for job in ten_jobs())
    assert comparison.plain.steps == comparison.ballast.steps == asked


def test_kube_scheduler_used_both_models_for_both_workloads(comparison: Comparison) -> None:
    for workload in WORKLOADS:
        assert set(comparison.plain.models(workload.name)) == {"V100", "A40"}, "else there is nothing to do better"


def test_it_takes_fewer_joules_by_the_boards_own_counters(comparison: Comparison, boards: Boards) -> None:
    if not comparison.is_fair:
        pytest.skip("the machine was too busy: the boards have not seen all the work")
    assert comparison.saved_percent >= LEAST_SAVED_PERCENT
    plain, ballast = (comparison.total_joules(arm) for arm in (comparison.plain, comparison.ballast))
    assert ballast < plain, "idle boards included, over the same time"
    assert comparison.idle_watts == boards.idle_watts


def test_no_limit_slows_a_job_down_by_more_than_it_allows(comparison: Comparison) -> None:
    machine = max(slowdown_percent(ran) for ran in comparison.plain.jobs)
    if machine > MEASURED_WITHIN_PERCENT:
        pytest.skip(f"the machine was too busy: without any limit jobs took up to {machine:.0f} % longer")
    for ran in comparison.ballast.jobs:
        assert slowdown_percent(ran) <= MAX_SLOWDOWN_PERCENT + MEASURED_WITHIN_PERCENT, ran.job.name
