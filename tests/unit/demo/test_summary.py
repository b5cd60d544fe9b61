"""The last page."""

from __future__ import annotations

import io

from rich.console import Console

from tests.demo import summary
from tests.demo.summary import ModelTotal
from tests.unit.demo.builders import (
    A100,
    H100,
    REAL,
    gang_of,
    gpu_gang,
    job_of,
    last_words,
    outcome_of,
    pod_of,
    real_gang,
)


def test_totals_by_gpu_model() -> None:
    jobs = [
        job_of(gpu_gang(), A100, predicted_watts=2000.0),
        job_of(gpu_gang(), A100, predicted_watts=1000.0, queued_at=90.0),
        job_of(gpu_gang(), H100, predicted_watts=500.0),
    ]
    assert summary.totals(jobs) == [
        ModelTotal(gpu_model="A100", jobs=2, gpu_seconds=320, predicted_joules=60_000, mean_wait_seconds=15),
        ModelTotal(gpu_model="H100", jobs=1, gpu_seconds=160, predicted_joules=10_000, mean_wait_seconds=10),
    ]


def test_jobs_that_never_ran_do_not_count() -> None:
    assert (
        summary.totals([job_of(gpu_gang(), A100, phase="Queued", places=(), started_at=None, finished_at=None)]) == []
    )


def test_a_real_gangs_result_is_its_lowest_accuracy() -> None:
    gang = real_gang()
    pods = [pod_of(gang, REAL, 0, last_words=last_words(0.98)), pod_of(gang, REAL, 1, last_words=last_words(0.953))]
    said = summary.result(gang, job_of(gang, REAL), pods)
    assert said == "accuracy 95.3 % on held-out data, 2 processes together"


def test_a_simulated_job_claims_no_accuracy() -> None:
    assert summary.result(gpu_gang(), job_of(gpu_gang(), A100), gang_of(gpu_gang(), A100)) == "succeeded (simulated)"


def test_a_job_that_failed_says_so() -> None:
    failed = job_of(gpu_gang(), A100, phase="Failed", reason="TrainerFailed")
    assert summary.result(gpu_gang(), failed, []) == "Failed: TrainerFailed"


def test_a_row_per_job() -> None:
    out = Console(file=io.StringIO(), width=160)
    job = job_of(gpu_gang(), A100, predicted_watts=2432.0)
    out.print(summary.job_table(outcome_of(gpu_gang(), A100, job=job)))
    assert isinstance(out.file, io.StringIO)
    row = " ".join(out.file.getvalue().splitlines()[1].split())
    assert row == "gang 2 x 4 GPU A100 a100-1 2.43 kW 10 s 20 s succeeded (simulated)"


def test_a_narrow_window_keeps_the_accuracy() -> None:
    out = Console(file=io.StringIO(), width=80)
    out.print(summary.job_table(outcome_of(real_gang(), REAL), wide=False))
    assert isinstance(out.file, io.StringIO)
    assert "accuracy 97.0 %" in out.file.getvalue()
