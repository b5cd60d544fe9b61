"""Updates of Kubeflow Trainer's protocol, as transformers sends them: an evaluation that is repeated counts once."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from ballast.exporter.kubeflow import parse_status
from ballast.exporter.progress import Progress
from ballast.exporter.report import Report, ReportRefused


def update(percent: object = 37, seconds: object = 120, metrics: object = None, **values: object) -> bytes:
    """Return an update; values of metrics are text, as transformers sends them."""
    listed = [{"name": name, "value": str(value)} for name, value in values.items()]
    status: dict[str, Any] = {"lastUpdatedTime": "2026-01-01T00:00:00+00:00"}
    status |= {"progressPercentage": percent, "estimatedRemainingSeconds": seconds, "metrics": metrics or listed}
    return json.dumps({"trainerStatus": status}).encode()


def feed(progress: Progress, *updates: bytes) -> int:
    """Report, and return how many evaluations there are."""
    for each in updates:
        report, key = parse_status(each, progress.metric)
        progress.report(report, key=key)
    training = progress.training()
    assert training is not None
    return training.evaluations


def test_place_and_metrics_are_told_apart() -> None:
    body = update(loss=0.5, learning_rate=1e-4, epoch=0.7, current_step=15, total_steps=40, current_epoch=0.75)
    report, _ = parse_status(body, None)
    assert report == Report(
        step=15, total_steps=40, epoch=0.75, seconds_left=120, metrics={"loss": 0.5, "learning_rate": 1e-4}
    )


def test_percent_is_taken_where_there_are_no_steps() -> None:
    report, _ = parse_status(update(percent=100, seconds=0, loss=0.5, epoch=3.0), None)
    assert (report.percent, report.seconds_left, report.step, report.epoch) == (100, 0, None, 3.0)


def test_the_first_update_of_all() -> None:
    status = {"trainerStatus": {"progressPercentage": 0, "metrics": [{"name": "total_steps", "value": "40"}]}}
    report, _ = parse_status(json.dumps(status).encode(), "eval_loss")
    assert report == Report(total_steps=40, percent=0)


def test_timing_takes_no_place_from_what_tells_of_the_model() -> None:
    body = update(
        eval_loss=0.5, eval_runtime=2.0, eval_samples_per_second=9.0, train_steps_per_second=1, total_flos=1e9
    )
    report, _ = parse_status(body, "eval_loss")
    assert report.metrics == {"eval_loss": 0.5}
    assert report.ignored == {}
    report, _ = parse_status(body, "eval_runtime")
    assert report.metrics == {"eval_loss": 0.5, "eval_runtime": 2.0}


def test_a_repeated_evaluation_counts_once() -> None:
    progress = Progress("eval_loss", "loss")
    evaluated = {"eval_loss": 0.5, "eval_runtime": 2.01}
    updates = [update(loss=loss, **evaluated) for loss in (0.9, 0.8, 0.7)]
    assert feed(progress, update(loss=1.0), *updates) == 1


def test_the_same_value_again_is_another_evaluation_if_anything_of_it_is_new() -> None:
    progress = Progress("eval_loss")
    assert feed(progress, *(update(eval_loss=0.5, eval_runtime=runtime) for runtime in (2.01, 2.02, 2.01))) == 3


def test_a_training_metric_counts_with_each_log() -> None:
    progress = Progress("loss")
    logs = [{"loss": 0.5, "grad_norm": 1.0}, {"loss": 0.5, "grad_norm": 1.5}]
    updates = [update(**log, eval_loss=number, train_loss=number) for log in logs for number in range(3)]
    assert feed(progress, *updates, update(**logs[-1], total_flos=1e9, epoch=3.0)) == 2


def test_an_evaluation_that_is_no_number_counts_once() -> None:
    progress = Progress("eval_loss")
    assert feed(progress, update(eval_loss="nan", eval_runtime=1.0), update(eval_loss="nan", eval_runtime=1.0)) == 1
    assert math.isnan(progress.metrics()["eval_loss"])


def test_what_cannot_be_kept_is_left_out_and_told() -> None:
    metrics = [
        {"name": "good", "value": "1"},
        {"name": "a name", "value": "1"},
        {"name": "text", "value": "low"},
        {"name": "number", "value": 2.5},
        {"name": "none", "value": None},
        {"name": "long", "value": "1" * 1000},
    ]
    report, _ = parse_status(update(metrics=metrics), None)
    assert report.metrics == {"good": 1.0, "number": 2.5}
    assert report.ignored.keys() == {'"a name"', "text", "none", "long"}


@pytest.mark.parametrize("step", [-1, 1.5, "nan", "inf", 1e300])
def test_a_place_that_cannot_be_is_no_place(step: object) -> None:
    report, _ = parse_status(update(current_step=step, total_steps=step, current_epoch=-1), None)
    assert (report.step, report.total_steps, report.epoch, report.percent) == (None, None, None, 37)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"[]", "trainerStatus"),
        (b"{}", "trainerStatus"),
        (b'{"trainerStatus": 5}', "trainerStatus"),
        (b"no JSON", ""),
        (update(percent=101), "trainerStatus.progressPercentage"),
        (update(percent="37"), "trainerStatus.progressPercentage"),
        (update(seconds=-1), "trainerStatus.estimatedRemainingSeconds"),
        (update(metrics={"loss": 1}), "trainerStatus.metrics"),
        (update(metrics=[{"value": 1}]), "trainerStatus.metrics"),
        (update(metrics=[5]), "trainerStatus.metrics"),
    ],
)
def test_refusals(body: bytes, field: str) -> None:
    with pytest.raises(ReportRefused) as refused:
        parse_status(body, "eval_loss")
    assert refused.value.field == field
