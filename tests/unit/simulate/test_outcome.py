"""Rows and sums of arms: waiting, slowdown, deadlines, grams and cost, to a horizon."""

from __future__ import annotations

import csv
import math
from dataclasses import fields, replace
from pathlib import Path

import pytest

from ballast.simulate.engine.outcome import (
    HarnessError,
    JobRow,
    common_horizon,
    fastest_seconds,
    quantile,
    summarize,
    write_rows,
)
from ballast.simulate.series import Series
from tests.unit.simulate.running import CURVES, FAST, SLOW, FirstFit, job, node, ran

MIXED = [node("f", gpus=1), node("s", gpus=4, gpu_model=SLOW)]


def test_slowdown_is_against_the_fastest_model_at_its_maximum_limit() -> None:
    (row,) = ran(job(seconds=100), on=[node(gpus=1)], policy=FirstFit(150)).rows
    assert row.slowdown_percent == pytest.approx(100 / 3)
    assert not row.slowdown_kept


def test_waiting_is_no_slowdown() -> None:
    rows = ran(job("i", gpus=2), job("j", gpus=2)).rows
    assert [(row.slowdown_percent, row.slowdown_kept) for row in rows] == [(0, True), (0, True)]


def test_a_model_that_cannot_hold_the_job_is_not_what_it_is_held_against() -> None:
    assert fastest_seconds(job(gpus=1), MIXED, CURVES) == 100
    assert fastest_seconds(job(gpus=2), MIXED, CURVES) == 200
    (row,) = ran(job(gpus=2), on=MIXED).rows
    assert (row.gpu_model, row.slowdown_percent) == (SLOW, 0)


@pytest.mark.parametrize(("allowed", "kept"), [(33.3, False), (33.4, True)])
def test_slowdown_is_kept_up_to_what_is_allowed(allowed: float, kept: bool) -> None:
    (row,) = ran(replace(job(), max_slowdown_percent=allowed), policy=FirstFit(150)).rows
    assert row.slowdown_kept is kept


def test_deadlines() -> None:
    jobs = [replace(job("met"), deadline=100), replace(job("missed"), deadline=99.9), job("none")]
    done = ran(*jobs, on=[node(gpus=3)])
    assert {row.name: row.deadline_met for row in done.rows} == {"met": True, "missed": False, "none": None}
    summary = summarize(done, done.horizon)
    assert (summary.deadlines, summary.deadlines_missed) == (2, 1)


def test_a_summary() -> None:
    done = ran(job("i", gpus=2, at=50), job("j", gpus=2, at=60, seconds=40))
    summary = summarize(done, 300)
    assert (summary.policy, summary.seed, summary.jobs, summary.horizon_seconds) == ("first-fit", 1, 2, 300)
    assert summary.dynamic_joules == pytest.approx(140 * 2 * 160)
    assert (summary.idle_joules, summary.base_joules, summary.boot_joules) == (300 * 40, 300 * 100, 0)
    assert summary.joules == pytest.approx(summary.dynamic_joules + summary.idle_joules + summary.base_joules)
    assert (summary.mean_waited_seconds, summary.median_waited_seconds) == (45, 45)
    assert summary.p95_waited_seconds == pytest.approx(85.5)
    assert (summary.makespan_seconds, summary.mean_jct_seconds) == (140, (100 + 130) / 2)
    assert (summary.slowdown_violations, summary.mean_slowdown_percent) == (0, 0)
    assert (summary.grams, summary.cost) == (None, None)


def test_grams_and_cost_follow_power_over_time() -> None:
    # 300 W while the job runs, 140 W before and after; the series change while it runs.
    carbon, price = Series((0, 100), (100, 400)), Series((0,), (0.3,))
    done = ran(job(at=50), carbon=carbon, price=price)
    summary = summarize(done, 200)
    grams = 100 * (50 * 140 + 50 * 300) + 400 * (50 * 300 + 50 * 140)
    assert summary.grams == pytest.approx(grams / 3.6e6)
    assert summary.cost == pytest.approx(0.3 * summary.joules / 3.6e6)


def test_a_horizon_before_the_last_end_is_refused() -> None:
    done = ran(job())
    with pytest.raises(HarnessError, match="last job ended at 100 s, after the horizon 99 s: take the latest end"):
        summarize(done, 99)


def test_the_common_horizon_is_the_latest_end() -> None:
    arms = [ran(job()), ran(job(), policy=FirstFit(100))]
    assert common_horizon(arms) == 200


def test_rows_as_csv(tmp_path: Path) -> None:
    done = ran(replace(job("i"), deadline=10, group='say "team"'), job("j"))
    path = tmp_path / "rows.csv"
    write_rows(path, done.rows)
    rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    assert list(rows[0]) == [field.name for field in fields(JobRow)]
    by_name = {row["name"]: row for row in rows}
    assert (by_name["i"]["deadline_met"], by_name["i"]["group"], by_name["i"]["gpu_model"]) == (
        "false",
        'say "team"',
        FAST,
    )
    assert (by_name["j"]["deadline"], by_name["j"]["deadline_met"], by_name["j"]["slowdown_kept"]) == ("", "", "true")
    assert float(by_name["j"]["run_seconds"]) == 100


@pytest.mark.parametrize(("share", "value"), [(0, 1), (0.5, 2.5), (0.95, 3.85), (1, 4)])
def test_quantiles_are_linear_between_neighbours(share: float, value: float) -> None:
    assert quantile([4, 1, 3, 2], share) == pytest.approx(value)
    assert math.isnan(quantile([], share))
