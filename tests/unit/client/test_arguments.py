"""Wrong arguments raise at once, inside and outside a pod; all kinds of numbers are taken."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from ballast import progress

from .listening import Exporter, sender


def told(monkeypatch: pytest.MonkeyPatch, **arguments: Any) -> dict[str, Any]:
    """Return what is sent of a report."""
    exporter = Exporter()
    listening = sender(exporter)
    monkeypatch.setenv(progress.URL_VARIABLE, "http://127.0.0.1:9447/v1/progress")
    monkeypatch.setattr(progress, "_sender", listening)
    progress.report(**arguments)
    assert listening.flush(60)
    (report,) = exporter.reports
    return report


def test_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    report = told(
        monkeypatch,
        step=12,
        total_steps=100,
        epoch=1.5,
        samples=1200,
        percent=12,
        seconds_left=9.5,
        metrics={"eval/loss": 0.25},
        loss=0.5,
    )
    assert report == {
        "step": 12,
        "totalSteps": 100,
        "epoch": 1.5,
        "samples": 1200,
        "percent": 12,
        "secondsLeft": 9.5,
        "metrics": {"eval/loss": 0.25, "loss": 0.5},
    }


def test_tensors_and_numpys_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    report = told(
        monkeypatch,
        step=torch.tensor(12),
        total_steps=np.int64(100),
        epoch=np.float32(1.5),
        samples=torch.tensor([8.0]),
        loss=torch.tensor(0.5, requires_grad=True),
        accuracy=np.array(0.25),
    )
    assert report["metrics"] == {"loss": 0.5, "accuracy": 0.25}
    assert (report["step"], report["totalSteps"], report["epoch"], report["samples"]) == (12, 100, 1.5, 8)
    assert type(report["step"]) is int


def test_a_metric_that_is_no_finite_number(monkeypatch: pytest.MonkeyPatch) -> None:
    report = told(monkeypatch, loss=math.nan, up=math.inf, down=-math.inf)
    assert report["metrics"] == {"loss": "NaN", "up": "Infinity", "down": "-Infinity"}


def test_none_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert told(monkeypatch, step=1, epoch=None, loss=None, metrics=None) == {"step": 1}


@pytest.mark.parametrize(
    ("arguments", "kind", "words"),
    [
        ({}, TypeError, "was told nothing"),
        ({"loss": None}, TypeError, "was told nothing"),
        ({"step": "12"}, TypeError, "step is '12': pass a number"),
        ({"step": True}, TypeError, "step is True"),
        ({"step": 1.5}, ValueError, "step is 1.5: pass a whole number"),
        ({"step": -1}, ValueError, "step is -1: pass a whole number from 0"),
        ({"step": 2**60}, ValueError, "2\\*\\*53"),
        ({"step": 10**400}, TypeError, "step is 1000"),
        ({"step": math.nan}, ValueError, "step is nan"),
        ({"total_steps": 0}, ValueError, "total_steps is 0: pass a whole number from 1"),
        ({"epoch": -0.5}, ValueError, "epoch is -0.5: pass a number of at least 0"),
        ({"samples": math.inf}, ValueError, "samples is inf"),
        ({"percent": 101}, ValueError, "percent is 101: pass a number of at least 0, at most 100"),
        ({"seconds_left": "soon"}, TypeError, "seconds_left is 'soon'"),
        ({"loss": "low"}, TypeError, "loss is 'low': pass a number"),
        ({"loss": torch.zeros(2)}, TypeError, "loss is tensor.*: pass one number"),
        ({"loss": [1.0]}, TypeError, "loss is"),
        ({"metrics": [1]}, TypeError, "metrics is"),
        ({"metrics": {"a b": 1}}, ValueError, "'a b' names no metric"),
        ({"metrics": {"": 1}}, ValueError, "names no metric"),
        ({"metrics": {5: 1}}, ValueError, "5 names no metric"),
        ({"metrics": {"loss": 1}, "loss": 2}, ValueError, "loss is told twice"),
        ({"metrics": {f"m{number}": 1 for number in range(65)}}, ValueError, "at most 64"),
    ],
)
@pytest.mark.parametrize("is_in_a_pod", [False, True])
def test_mistakes(
    arguments: dict[str, Any], kind: type[Exception], words: str, is_in_a_pod: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_in_a_pod:
        monkeypatch.setenv(progress.URL_VARIABLE, "http://127.0.0.1:1/v1/progress")
    with pytest.raises(kind, match=words):
        progress.report(**arguments)
    assert progress._sender is None


def test_positional_arguments_are_none() -> None:
    with pytest.raises(TypeError):
        progress.report(12)  # type: ignore[call-arg]
