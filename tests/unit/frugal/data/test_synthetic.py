"""Random examples are chosen by name only, and nobody can take their results for real ones."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest

from frugal import data
from frugal.cli import main
from frugal.data import DataSplits
from frugal.errors import ConfigError
from frugal.exporter_sink import _as_json
from frugal.results import termination_message
from frugal.run import Run
from frugal.technique import Stage, Technique

from ..builders import Recorder, blobs, config, train


class Unmarked(Technique):
    """Makes the data anew and forgets to say that they mean nothing."""

    name = "unmarked"
    stage = Stage.DATA

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        return DataSplits(
            train=data.train, validation=data.validation, test=None, shape=data.shape, classes=data.classes
        )


def test_shape_and_sizes_are_as_asked(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        splits = data.load("synthetic:3x4x5,classes=7,examples=80", Path("/nowhere"))
    assert "accuracy and loss mean nothing" in caplog.text
    assert (splits.shape, splits.classes, len(splits.train), len(splits.validation)) == ((3, 4, 5), 7, 80, 10)
    assert splits.synthetic


@pytest.mark.parametrize("text", ["", "3x32", "3x32x0", "3x32x32,colour=1", "3x32x32,classes", "3x32x32,examples=7"])
def test_another_spelling_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="write channels, height and width as synthetic:3x32x32"):
        data.load(f"synthetic:{text}", Path("/nowhere"))


def test_every_result_and_report_is_marked_whatever_is_done_to_the_data() -> None:
    synthetic = data.load("synthetic:1x4x4,classes=4,examples=32", Path("/nowhere"))
    recorder = Recorder()
    # Under a real set's name, and through a technique that drops the mark.
    result = train(config(data="digits", report_every=1), [Unmarked()], data=synthetic, sinks=[recorder])
    assert result.synthetic is True
    assert json.loads(result.to_json())["synthetic"] is True
    assert json.loads(termination_message(result))["synthetic"] is True
    assert recorder.reports
    for report in recorder.reports:
        assert report.synthetic is True
        assert report.accuracy is not None or report.val_accuracy is not None
        told = _as_json(report)["metrics"]
        assert set(told) == {"lr"}, "the cluster must not decide by what random examples say"


def test_real_data_are_not_marked() -> None:
    recorder = Recorder()
    result = train(config(epochs=1), data=blobs(), sinks=[recorder])
    assert "synthetic" not in json.loads(result.to_json())
    assert recorder.reports[-1].synthetic is None
    assert "val_accuracy" in _as_json(recorder.reports[-1])["metrics"]


def test_the_command_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    name = "synthetic:1x4x4,examples=16"
    assert main(["train", "--data", name, "--epochs", "1", "--threads", "1", "--device", "cpu"]) == 0
    captured = capsys.readouterr()
    result = json.loads(captured.out)
    assert (result["data"], result["synthetic"]) == (name, True)
    assert "synthetic data" in captured.err
    assert "synthetic=true" in captured.err
