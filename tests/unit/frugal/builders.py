"""What the trainer's tests are made of: a small learnable data set, short configurations, recording sinks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from frugal.checkpoint import CheckpointStore, decode
from frugal.config import TrainConfig
from frugal.data import DataSplits, TensorExamples
from frugal.progress import Progress, ProgressSink
from frugal.results import TrainingResult
from frugal.signals import StopSignals
from frugal.technique import Technique
from frugal.trainer import Trainer

CLASSES = 4


def blobs(train: int = 101, validation: int = 40) -> DataSplits:
    """One blurred corner per class on 4x4 images; 101 examples leave a last batch that is short."""
    generator = torch.Generator().manual_seed(1)

    def examples(count: int) -> TensorExamples:
        labels = torch.arange(count) % CLASSES
        inputs = 0.6 * torch.randn(count, 1, 4, 4, generator=generator)
        for row, label in enumerate(labels.tolist()):
            inputs[row, 0, 2 * (label // 2) : 2 * (label // 2) + 2, 2 * (label % 2) : 2 * (label % 2) + 2] += 1.0
        return TensorExamples(inputs, labels)

    return DataSplits(
        train=examples(train), validation=examples(validation), test=None, shape=(1, 4, 4), classes=CLASSES
    )


def config(directory: Path | None = None, **changes: Any) -> TrainConfig:
    """Three epochs of seven steps on `blobs`, on one thread."""
    settings: dict[str, Any] = {
        "data": "blobs",
        "epochs": 3,
        "batch_size": 16,
        "device": "cpu",
        "threads": 1,
        "report_every": 1000,
        "checkpoint_every": 0,
        "checkpoint_dir": directory,
    }
    return TrainConfig(**(settings | changes))


def train(
    configuration: TrainConfig,
    techniques: Sequence[Technique] = (),
    *,
    data: DataSplits | None = None,
    signals: StopSignals | None = None,
    sinks: Sequence[ProgressSink] = (),
) -> TrainingResult:
    """Train on `blobs` unless told otherwise."""
    return Trainer(configuration, techniques, data=data or blobs(), signals=signals, sinks=sinks).train()


def newest(directory: Path) -> dict[str, Any]:
    """The newest checkpoint in ``directory``."""
    payload = CheckpointStore(directory).latest()
    assert payload is not None
    return decode(payload)


def weights(directory: Path) -> dict[str, Tensor]:
    """The weights in the newest checkpoint."""
    model: dict[str, Tensor] = newest(directory)["model"]
    return model


def same(one: Any, other: Any) -> bool:
    """Whether two checkpoint values are equal bit for bit."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return isinstance(other, dict) and one.keys() == other.keys() and all(same(one[k], other[k]) for k in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


class Recorder:
    """A sink that keeps what it is told."""

    def __init__(self) -> None:
        self.reports: list[Progress] = []

    def report(self, progress: Progress) -> None:
        self.reports.append(progress)
