"""The newest of each figure is told, and what was not told is estimated or absent."""

from __future__ import annotations

import logging

import pytest

from ballast.api.exporter import MAX_METRICS
from ballast.exporter.progress import Progress
from ballast.exporter.report import Report

from .trainers import Clock, restarted


def test_nothing_is_told_before_the_first_report() -> None:
    progress = Progress("val_loss")
    assert (progress.training(), progress.metrics(), progress.cpu_seconds, progress.changed_at) == (
        None,
        {},
        None,
        None,
    )


def test_the_newest_of_each_figure() -> None:
    clock = Clock()
    progress = Progress("val_loss", clock=clock)
    progress.report(Report(step=1, total_steps=100, epoch=0.5, samples=8, metrics={"loss": 3.0, "val_loss": 4.0}))
    clock.pass_(5)
    progress.report(Report(step=2, metrics={"loss": 2.0}))
    training = progress.training()
    assert training is not None
    assert (training.step, training.total_steps, training.epoch, training.samples) == (2, 100, 0.5, 8)
    assert (training.percent, training.metric, training.reported_at) == (2.0, 4.0, clock.now)
    assert progress.metrics() == {"val_loss": 4.0, "loss": 2.0}
    assert progress.changed_at == clock.now


def test_seconds_left_are_estimated_from_the_speed() -> None:
    clock = Clock()
    progress = Progress(clock=clock)
    for step in range(5000, 5021, 2):
        progress.report(Report(step=step, total_steps=5100, samples=step * 8))
        clock.pass_(1)
    training = progress.training()
    assert training is not None
    assert training.steps_per_second == pytest.approx(2)
    assert training.samples_per_second == pytest.approx(16)
    assert training.seconds_left == pytest.approx(40)


def test_what_the_trainer_tells_comes_before_estimates_until_the_next_step() -> None:
    clock = Clock()
    progress = Progress(clock=clock)
    progress.report(Report(step=10, total_steps=100))
    clock.pass_(10)
    progress.report(Report(step=20, percent=33, seconds_left=7))
    told = progress.training()
    clock.pass_(10)
    progress.report(Report(step=30))
    estimated = progress.training()
    assert told is not None
    assert estimated is not None
    assert (told.percent, told.seconds_left) == (33, 7)
    assert estimated.percent == 30
    assert estimated.seconds_left == pytest.approx(70)


def test_percent_alone_is_enough() -> None:
    progress = Progress()
    progress.report(Report(percent=12.5, seconds_left=60))
    training = progress.training()
    assert training is not None
    assert (training.step, training.percent, training.seconds_left) == (None, 12.5, 60)


def test_more_steps_than_announced() -> None:
    progress = Progress()
    progress.report(Report(step=120, total_steps=100))
    training = progress.training()
    assert training is not None
    assert (training.percent, training.seconds_left) == (100, 0)


def test_no_speed_after_a_long_silence() -> None:
    clock = Clock()
    progress = Progress(clock=clock)
    for step in range(10):
        progress.report(Report(step=step, total_steps=100))
        clock.pass_(1)
    clock.pass_(1000)
    training = progress.training()
    assert training is not None
    assert (training.step, training.steps_per_second, training.seconds_left) == (9, None, None)


def test_cpu_time_and_samples_go_on_over_restarts_of_the_trainer() -> None:
    progress = Progress()
    for cpu, samples in ((10.0, 100), (12.0, 200), (1.0, 50)):
        progress.report(Report(cpu_seconds=cpu, samples=samples))
    training = progress.training()
    assert training is not None
    assert (progress.cpu_seconds, training.samples) == (13.0, 250)


def test_metrics_are_bounded_and_what_is_left_out_is_told_each_time_and_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    progress = Progress()
    many = {f"m{number}": 1.0 for number in range(MAX_METRICS + 2)}
    with caplog.at_level(logging.WARNING):
        first = progress.report(Report(metrics=many))
        second = progress.report(Report(metrics=many))
    left_out = {f"m{MAX_METRICS}", f"m{MAX_METRICS + 1}"}
    assert first.keys() == second.keys() == left_out
    assert progress.metrics().keys() == many.keys() - left_out
    assert sorted(record.what for record in caplog.records) == sorted(left_out)  # type: ignore[attr-defined]


def test_the_jobs_own_metrics_always_have_a_place_and_come_first() -> None:
    progress = Progress("val_loss", "loss")
    progress.report(Report(metrics={f"m{number}": 1.0 for number in range(MAX_METRICS)}))
    assert progress.report(Report(metrics={"loss": 2.0, "val_loss": 3.0})) == {}
    assert list(progress.metrics()) == ["val_loss", "loss", *(f"m{number}" for number in range(MAX_METRICS - 2))]


def test_metrics_that_have_a_place_keep_it() -> None:
    progress = Progress()
    progress.report(Report(metrics={f"m{number}": 1.0 for number in range(MAX_METRICS)}))
    progress.report(Report(metrics={"new": 1.0, "m0": 5.0}))
    assert progress.metrics()["m0"] == 5.0
    assert "new" not in progress.metrics()


def test_logged_things_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    progress = Progress()
    progress.report(Report(metrics={f"m{number}": 1.0 for number in range(MAX_METRICS)}))
    for number in range(1000):
        progress.report(Report(metrics={f"x{number}": 1.0}))
    assert len(caplog.records) == 64


def test_everything_but_speeds_survives_a_restart() -> None:
    clock = Clock()
    progress = Progress("val_loss", "loss", clock=clock)
    progress.report(
        Report(
            step=5,
            total_steps=50,
            epoch=0.5,
            samples=40,
            seconds_left=9,
            cpu_seconds=2.5,
            metrics={"loss": float("inf"), "val_loss": 0.25, "lr": 1e-3},
        )
    )
    after = restarted(progress, "val_loss")
    assert after.training() == progress.training()
    assert (after.metrics(), after.cpu_seconds) == (progress.metrics(), 2.5)
    after.report(Report(samples=45, cpu_seconds=3.0))
    training = after.training()
    assert training is not None
    assert (training.samples, after.cpu_seconds) == (45, 3.0)


@pytest.mark.parametrize(
    "damage",
    [
        {"step": "five"},
        {"step": True},
        {"keys": [5]},
        {"metrics": {"loss": "low"}},
        {"metrics": None},
        {"samples": [1]},
        {"ring": {"count": 3, "newest": [[9, 1.0, None, None]]}},
        {"ring": None},
    ],
)
def test_what_is_damaged_is_not_restored_not_even_in_part(damage: dict[str, object]) -> None:
    saved = Progress("val_loss")
    saved.report(Report(step=5, samples=3, metrics={"val_loss": 1.0}))
    progress = Progress("val_loss")
    with pytest.raises((ValueError, KeyError, TypeError)):
        progress.restore({**saved.to_json(), **damage})
    assert progress.training() is None
    assert progress.metrics() == {}
    progress.report(Report(metrics={"val_loss": 2.0}))
    training = progress.training()
    assert training is not None
    assert (training.step, training.evaluations) == (None, 1)
