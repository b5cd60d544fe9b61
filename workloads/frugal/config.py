"""What a training run is asked to do: one frozen object, valid or never made.

The fields of `identity` decide the result of a run. A checkpoint stores them, and only a run with the same identity may
resume it; everything else (device, logging, where checkpoints go) can change between attempts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from frugal.errors import ConfigError

DEVICES = ("auto", "cpu", "cuda")
DEFAULT_DATA_DIR = Path("/usr/share/datasets")


@dataclass(frozen=True, kw_only=True)
class TrainConfig:
    """Settings of one run.

    Attributes:
        data: Name of the data set (see `frugal.data`).
        model: Name of the model (see `frugal.models`).
        epochs: Passes over the training set.
        batch_size: Samples per optimizer step over *all* processes: the result does not depend on how many share it.
        lr: Peak learning rate.
        weight_decay: Decoupled weight decay.
        seed: Fixes initial weights, data order and dropout.
        checkpoint_dir: Where checkpoints live; None means that nothing is saved.
        checkpoint_every: Steps between periodic checkpoints; 0 saves only at the end and when stopped.
        resume: Continue from the newest sound checkpoint.
        device: auto, cpu or cuda.
        threads: CPU threads of this process; 0 takes its share of the container's CPU limit.
        deterministic: Bit-exact kernels on CUDA too, at some cost in speed (CPU runs always are).
        report_every: Steps between progress lines.
        data_dir: Folder that holds installed data sets.
    """

    data: str = "digits"
    model: str = "mlp"
    epochs: int = 10
    batch_size: int = 64
    lr: float = 2e-3
    weight_decay: float = 1e-2
    seed: int = 0
    checkpoint_dir: Path | None = None
    checkpoint_every: int = 200
    resume: bool = True
    device: str = "auto"
    threads: int = 0
    deterministic: bool = False
    report_every: int = 50
    data_dir: Path = DEFAULT_DATA_DIR

    def __post_init__(self) -> None:
        for field, least in (("epochs", 1), ("batch_size", 1), ("report_every", 1)):
            self._at_least(field, least)
        for field in ("seed", "checkpoint_every", "threads"):
            self._at_least(field, 0)
        if not (math.isfinite(self.lr) and self.lr > 0):
            raise ConfigError("lr", self.lr, "use a positive number, 0.001 is a good start")
        if not (math.isfinite(self.weight_decay) and self.weight_decay >= 0):
            raise ConfigError("weight_decay", self.weight_decay, "use 0 or a small positive number")
        if self.device not in DEVICES:
            raise ConfigError("device", self.device, f"use one of {', '.join(DEVICES)}")

    def _at_least(self, field: str, least: int) -> None:
        value = getattr(self, field)
        if value < least:
            raise ConfigError(field, value, f"use a whole number of at least {least}")

    @property
    def identity(self) -> Mapping[str, str | int | float]:
        """The settings on which the trained weights depend."""
        return {
            "data": self.data,
            "model": self.model,
            "epochs": self.epochs,
            "batch_size": self.batch_size,
            "lr": self.lr,
            "weight_decay": self.weight_decay,
            "seed": self.seed,
        }
