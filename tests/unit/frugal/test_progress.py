"""What sinks are told, and that they cannot end a run."""

from __future__ import annotations

import logging

import pytest

from frugal.progress import Progress

from .builders import Recorder, config, train


def test_reports_at_every_interval_and_epoch() -> None:
    recorder = Recorder()
    train(config(report_every=5), sinks=[recorder])
    assert [(r.step, r.epoch, r.val_loss is not None) for r in recorder.reports] == [
        (5, 1, False),
        (7, 1, True),
        (10, 2, False),
        (14, 2, True),
        (15, 3, False),
        (20, 3, False),
        (21, 3, True),
    ]


def test_figures() -> None:
    recorder = Recorder()
    result = train(config(), sinks=[recorder])
    first, last = recorder.reports[0], recorder.reports[-1]
    assert first.total_steps == last.total_steps == 21
    assert first.loss is not None
    assert last.loss is not None
    assert last.loss < first.loss
    assert last.samples_per_second is not None
    assert last.samples_per_second > 0
    assert first.seconds_left is not None
    assert first.seconds_left > 0
    assert last.seconds_left == 0
    assert (first.samples, last.samples) == (101, result.samples)
    assert (last.val_accuracy, last.val_loss) == (result.val_accuracy, result.val_loss)


def test_failing_sink_is_left_out_and_training_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    class Broken:
        calls = 0

        def report(self, progress: Progress) -> None:
            self.calls += 1
            raise ConnectionError("nobody listens")

    broken, recorder = Broken(), Recorder()
    with caplog.at_level(logging.ERROR):
        assert train(config(), sinks=[broken, recorder]).outcome == "completed"
    assert (broken.calls, len(recorder.reports)) == (1, 3)
    assert "progress sink Broken failed" in caplog.text
