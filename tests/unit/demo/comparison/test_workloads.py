"""The compared jobs: the same pods in both arms, speeds as Zeus measured them, no luck in their order."""

from __future__ import annotations

import csv

import pytest

from ballast.api.energyprofile import EnergyProfile
from ballast.api.trainingjob import TrainingJob
from tests.demo.comparison.boards import limits_of, profile
from tests.demo.comparison.workloads import BERT, SPEECH, WORKLOADS, Workload, plain_job, ten_jobs, training_job
from tests.nvmlsim.boards import MODELS, V100
from tests.nvmlsim.curves import curve, data_folder
from tests.unit.nvmlsim.builders import needs_data


def epoch_seconds(workload: Workload, model: str) -> float:
    """Return what Zeus measured at the highest limit."""
    with (data_folder() / f"summary_power_{model.lower()}.csv").open(newline="") as file:
        of_it = [
            (float(row["power_limit"]), float(row["time_per_epoch"]))
            for row in csv.DictReader(file)
            if "/".join((row["dataset"], row["network"], row["batch_size"], row["optimizer"])) == workload.measured_as
        ]
    return max(of_it)[1]


def test_there_are_ten_with_ten_names() -> None:
    assert len({job.name for job in ten_jobs()}) == 10


def test_both_arms_have_the_same_pods() -> None:
    for job in ten_jobs():
        plain = plain_job(job, "team")["spec"]["template"]["spec"]
        assert {**training_job(job, "team")["spec"]["template"]["spec"], "restartPolicy": "Never"} == plain
        TrainingJob.parse(training_job(job, "team"))


def test_who_only_takes_turns_gives_neither_workload_the_better_boards() -> None:
    for workload in WORKLOADS:
        turns = [place % 2 for place, job in enumerate(ten_jobs()) if job.workload is workload]
        assert abs(2 * sum(turns) - len(turns)) == 1


@needs_data
@pytest.mark.parametrize("workload", WORKLOADS, ids=lambda workload: workload.name)
def test_one_model_is_as_much_faster_as_was_measured(workload: Workload) -> None:
    measured = epoch_seconds(workload, "A40") / epoch_seconds(workload, "V100")
    assert workload.step_seconds["A40"] / workload.step_seconds["V100"] == pytest.approx(measured, rel=0.005)


def joules_above_idle(workload: Workload, model: str) -> float:
    """Return what a step takes without a limit."""
    board = MODELS[model.lower()]
    watts = curve(board, workload.measured_as).watts_at(board.max_limit_watts)
    return (watts - board.idle_watts) * workload.step_seconds[model]


def test_each_model_is_the_better_one_for_one_workload() -> None:
    assert joules_above_idle(BERT, "A40") < 0.7 * joules_above_idle(BERT, "V100")
    assert joules_above_idle(SPEECH, "V100") < 0.7 * joules_above_idle(SPEECH, "A40")


def test_what_earlier_runs_have_measured_is_a_profile() -> None:
    told = profile(BERT, "V100", 240.0, "team", "2026-01-02T03:04:05Z")
    points = EnergyProfile.parse(told).spec.points
    assert [point.power_limit_watts for point in points] == [100, 125, 150, 175, 200, 225, 240]
    speeds = [point.steps_per_second for point in points]
    assert speeds == sorted(speeds)


def test_the_found_limit_is_the_last_of_those_that_were_tried() -> None:
    assert limits_of(V100, 250.0) == (100.0, 125.0, 150.0, 175.0, 200.0, 225.0, 250.0)
