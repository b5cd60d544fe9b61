"""Each report of the job's metric is an evaluation: numbered once, with its step and the training metric then."""

from __future__ import annotations

import math

import pytest

from ballast.api.exporter import RING
from ballast.api.finalreading import Evaluation, Training
from ballast.exporter.progress import Progress
from ballast.exporter.report import Report

from .trainers import restarted


def told(progress: Progress) -> Training:
    training = progress.training()
    assert training is not None
    return training


def test_an_evaluation_has_its_step_and_the_training_metric() -> None:
    progress = Progress("val_loss", "loss")
    progress.report(Report(step=10, metrics={"val_loss": 2.0}))
    progress.report(Report(step=20, metrics={"loss": 0.5}))
    progress.report(Report(metrics={"val_loss": 1.0}))
    progress.report(Report(step=30, metrics={"val_loss": 3.0, "loss": 0.25}))
    assert told(progress).ring == (
        Evaluation(1, 2.0, 10, None),
        Evaluation(2, 1.0, 20, 0.5),
        Evaluation(3, 3.0, 30, 0.25),
    )


def test_without_a_metric_there_are_none() -> None:
    progress = Progress()
    progress.report(Report(metrics={"val_loss": 1.0}, missed={"val_loss": 2}))
    training = told(progress)
    assert (training.evaluations, training.ring, training.metric, training.best) == (0, (), None, None)


@pytest.mark.parametrize(("goal", "best"), [("Minimize", 1.0), ("Maximize", 3.0), (None, 1.0)])
def test_the_best_goes_by_the_goal(goal: str | None, best: float) -> None:
    progress = Progress("metric", goal=goal)
    for value in (2.0, 1.0, 3.0, 2.5):
        progress.report(Report(metrics={"metric": value}))
    assert (told(progress).metric, told(progress).best) == (2.5, best)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("goal", ["Minimize", "Maximize"])
def test_what_is_no_finite_number_counts_and_is_never_the_best(value: float, goal: str) -> None:
    progress = Progress("metric", goal=goal)
    progress.report(Report(metrics={"metric": value}))
    training = told(progress)
    assert (training.evaluations, training.metric, training.best) == (1, None, None)
    assert training.ring[0].value == pytest.approx(value, nan_ok=True)
    progress.report(Report(metrics={"metric": 2.0}))
    progress.report(Report(metrics={"metric": value}))
    assert (told(progress).best, told(progress).metric, told(progress).evaluations) == (2.0, None, 3)


def test_the_same_under_the_same_key_counts_once() -> None:
    progress = Progress("metric")
    batch = [Report(metrics={"metric": 1.0}), Report(metrics={"metric": 2.0})]
    progress.report(*batch, key="a")
    progress.report(*batch, key="a")
    assert told(progress).evaluations == 2
    progress.report(*batch, key="b")
    assert told(progress).evaluations == 4


def test_a_key_is_remembered_over_a_restart() -> None:
    progress = Progress("metric")
    progress.report(Report(metrics={"metric": 1.0}), key="a")
    after = restarted(progress, "metric")
    after.report(Report(metrics={"metric": 1.0}), key="a")
    assert told(after).evaluations == 1


def test_each_way_has_keys_of_its_own() -> None:
    progress = Progress("metric")
    for source, key in (("a", "1"), ("b", "2"), ("a", None), ("a", "1"), ("b", "2")):
        progress.report(Report(metrics={"metric": 1.0}), key=key, source=source)
    assert told(progress).evaluations == 3


def test_without_a_key_the_same_value_is_another_evaluation() -> None:
    progress = Progress("metric")
    for _ in range(3):
        progress.report(Report(step=1, metrics={"metric": 1.0}))
    assert told(progress).evaluations == 3


def test_numbers_go_on_over_a_restart() -> None:
    progress = Progress("metric")
    for value in range(RING + 3):
        progress.report(Report(metrics={"metric": float(value)}))
    after = restarted(progress, "metric")
    assert told(after).ring == told(progress).ring
    after.report(Report(metrics={"metric": 99.0}))
    assert told(after).ring[-1] == Evaluation(RING + 4, 99.0)
    assert len(told(after).ring) == RING


def test_values_that_were_never_sent_are_counted_without_a_value() -> None:
    progress = Progress("metric")
    progress.report(Report(metrics={"metric": 1.0}))
    progress.report(Report(metrics={"metric": 5.0}, missed={"metric": RING - 2, "other": 7}))
    assert told(progress).evaluations == RING
    assert told(progress).ring == (Evaluation(1, 1.0), Evaluation(RING, 5.0))
