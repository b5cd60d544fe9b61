"""One drawn training, run by the ordinary trainer and watched: what a draw's parameters mean.

Two techniques do it. `_Drawn` makes data and model as drawn: a subset with some labels wrong, a model of some width and
depth. `_Watch` evaluates at evenly spaced steps, whatever an epoch is, so that a training of 64 examples has as many
evaluations as one of 1,400. What must hold: watching changes nothing (no draw, no weight), and what it costs is in none
of the costs that are told.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from frugal import data as datasets
from frugal import registry
from frugal.bench.counters import CounterError
from frugal.bench.meters import Measurement, open_meter
from frugal.bench.power_model import PowerModel
from frugal.bench.records import Energy
from frugal.config import TrainConfig
from frugal.curves.ranges import Draw
from frugal.curves.recording import COLUMNS, Curve
from frugal.data import DataSplits, Examples, TensorExamples
from frugal.errors import ConfigError, FrugalError
from frugal.evaluation import evaluate
from frugal.models import SpatialMean
from frugal.run import Run
from frugal.technique import Batch, Claim, Stage, Technique
from frugal.trainer import Trainer

_JUDGES_SEED = 20200523  # of the choice of validation examples
_TOKEN_VALIDATION = 8  # what the trainer itself validates on, after each epoch: it decides nothing
_CNN_CHANNELS = 4  # a cnn's channels are the drawn width divided by this, and doubled at its strided layer
ONE_THREAD = PowerModel(cores=1.0)
"""Joules without a counter: an estimate for the one hardware thread that a training has."""
_TECHNIQUES = {
    "none": (),
    "mixup": ("mixup,alpha=0.2",),
    "augmentation": ("augmentation",),
    "pruning": ("pruning,sparsity=0.8",),
    "gelu": ("activation,kind=gelu",),
    "top-k": ("activation,kind=top-k,keep=0.2",),
}


def train(draw: Draw, data_dir: Path, device: str = "cpu") -> Curve:
    """Train what ``draw`` says, on one thread, and return its curve.

    Raises:
        ConfigError: A parameter has a value that nothing is known of.
        FrugalError: The data set is not installed.
    """
    batch_size, steps = draw.whole("batch_size"), draw.whole("steps")
    if draw.text("model") == "cnn":
        steps = round(steps * draw.number("cnn_share"))
    epoch_steps = math.ceil(draw.whole("train_examples") / batch_size)
    config = TrainConfig(
        data=draw.text("data"),
        model=draw.text("model"),
        epochs=math.ceil(steps / epoch_steps),
        batch_size=batch_size,
        lr=draw.number("lr"),
        weight_decay=draw.number("weight_decay"),
        seed=draw.seed,
        device=device,
        threads=1,
        report_every=1_000_000,
    )
    watch = _Watch(draw.whole("evaluations"))
    try:
        Trainer(config, [_Drawn(draw, watch), *_techniques(draw), watch], data=load(config.data, data_dir)).train()
    except Exception as error:
        error.add_note(f"in draw {draw.index}: {dict(draw.values)}")
        raise
    return watch.curve(draw)


@lru_cache(maxsize=4)
def load(name: str, data_dir: Path) -> DataSplits:
    """See `frugal.data.load`; read once by each process."""
    return datasets.load(name, data_dir)


def _techniques(draw: Draw) -> list[Technique]:
    chosen = draw.text("technique")
    if chosen not in _TECHNIQUES:
        raise ConfigError("ranges.technique", chosen, f"use of {', '.join(_TECHNIQUES)}")
    specs = [*_TECHNIQUES[chosen], f"optimizer,kind={draw.text('optimizer')}", f"schedule,kind={draw.text('schedule')}"]
    return [registry.create(spec) for spec in specs]


class _Drawn(Technique):
    """Data and model as drawn; the whole validation set goes to ``watch``."""

    name = "drawn"
    stage = Stage.DATA
    claims = frozenset({Claim.EXAMPLES, Claim.MODEL})

    def __init__(self, draw: Draw, watch: _Watch) -> None:
        self._draw = draw
        self._watch = watch

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """See `Technique.prepare_data`."""
        draw, generator = self._draw, torch.Generator().manual_seed(self._draw.seed)
        # Always the same examples to judge by, so that curves of one data set can be compared.
        held_out = torch.randperm(len(data.validation), generator=torch.Generator().manual_seed(_JUDGES_SEED))
        self._watch.validation = data.validation.subset(held_out[: draw.whole("validation_examples")].sort().values)
        chosen = torch.randperm(len(data.train), generator=generator)[: draw.whole("train_examples")]
        inputs, labels = data.train.batch(chosen, torch.device("cpu"))
        wrong = torch.rand(len(labels), generator=generator) < draw.number("label_noise")
        moved = torch.randint(1, data.classes, labels.shape, generator=generator)
        labels = torch.where(wrong, (labels + moved) % data.classes, labels)
        token = self._watch.validation.subset(torch.arange(_TOKEN_VALIDATION))
        return DataSplits(
            train=TensorExamples(inputs, labels), validation=token, test=None, shape=data.shape, classes=data.classes
        )

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.build_model`."""
        draw = self._draw
        build = {"mlp": _mlp, "cnn": _cnn}[draw.text("model")]
        return build(run.data.shape, run.data.classes, draw.whole("width"), draw.whole("depth"), draw.number("dropout"))


@dataclass
class _Watch(Technique):
    """Evaluates at evenly spaced steps and keeps what it saw.

    Attributes:
        evaluations: How many there will be.
    """

    evaluations: int
    validation: Examples = field(init=False)

    name = "watch"
    stage = Stage.CONTROL

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        self._steps = {round(run.total_steps * (n + 1) / self.evaluations) for n in range(self.evaluations)}
        self._columns: dict[str, list[float]] = {name: [] for name in COLUMNS}
        self._loss = torch.zeros(2, dtype=torch.float64)  # sum, examples
        self._meter = open_meter(run.device, ONE_THREAD)
        if self._meter.source is None and self._meter.model is None:
            raise CounterError(f"{self._meter.statement}: train on the CPU, where joules can be estimated")
        self._seconds = self._cpu_seconds = self._spent = 0.0
        self._stretch: Measurement = self._meter.start()

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        """See `Technique.compute_losses`."""
        self._loss += torch.stack([(losses.detach() * batch.weights).sum(), batch.weights.sum()]).cpu()
        return losses

    def after_step(self, run: Run) -> None:
        """See `Technique.after_step`."""
        if run.step not in self._steps:
            return
        self._count(self._stretch.energy())
        judged = evaluate(run, self.validation)
        loss, examples = self._loss.tolist()
        seen = {
            "step": run.step,
            "epoch": run.samples / len(run.data.train),
            "seconds": self._seconds,
            "cpu_seconds": self._cpu_seconds,
            "joules": self._spent,
            "train_loss": loss / examples,
            "val_loss": judged.loss,
            "val_accuracy": judged.accuracy,
        }
        for name, value in seen.items():
            self._columns[name].append(value)
        self._loss.zero_()
        self._stretch = self._meter.start()

    def _count(self, piece: Energy) -> None:
        self._seconds += piece.seconds
        self._cpu_seconds += piece.cpu_seconds
        self._spent += (piece.estimated_joules or 0.0) if piece.joules is None else piece.joules

    def curve(self, draw: Draw) -> Curve:
        """What was seen."""
        if not self._columns["step"]:
            raise FrugalError(f"draw {draw.index}: no step was taken")
        source = self._meter.source
        return Curve(
            draw=draw,
            measured=source is not None,
            joules_by=source or self._meter.model or "",
            columns=self._columns,
        )


def _mlp(shape: tuple[int, int, int], classes: int, width: int, depth: int, dropout: float) -> nn.Module:
    layers: list[nn.Module] = [nn.Flatten()]
    inputs = math.prod(shape)
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU(), nn.Dropout(dropout)]
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def _cnn(shape: tuple[int, int, int], classes: int, width: int, depth: int, dropout: float) -> nn.Module:
    """The first layer has stride 2 where images are large, so that all data sets cost about the same."""
    channels, inputs = max(4, width // _CNN_CHANNELS), shape[0]
    layers: list[nn.Module] = []
    for number in range(depth + 1):
        stride = 2 if number == 1 or (number == 0 and shape[1] > 16) else 1
        layers += [nn.Conv2d(inputs, channels, kernel_size=3, stride=stride, padding=1), nn.ReLU()]
        inputs, channels = channels, channels * 2 if number == 0 else channels
    return nn.Sequential(*layers, SpatialMean(), nn.Dropout(dropout), nn.Linear(inputs, classes))
