"""The state of one training run: what hooks see, and the only thing that changes while training.

The trainer owns the loop; a `Run` owns what the loop works on and how its parts are made, so that a technique can
replace the model halfway and get device, process group, compiler and optimizer around the new one as around the first.
"""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from frugal.composition import Composition
from frugal.config import TrainConfig
from frugal.data import DataSplits
from frugal.distributed import World
from frugal.signals import StopSignals
from frugal.technique import Evaluation, Forward, Optimization


@dataclass
class Run:
    """One run.

    Attributes:
        model: The bare model: its parameters' names are the same with or without processes and compilers.
        forward: How training calls the model.
        eval_forward: How evaluation calls it; never waits for other processes.
        epoch: Epochs completed.
        step: Optimizer steps taken.
        step_in_epoch: Of these, in the current epoch.
        order: The current epoch's examples in the order of their use; None between epochs.
        samples: Examples learned from, over all processes.
        seconds: Training time of earlier attempts.
        best: The best validation so far.
        best_step: When that was.
        stop_reason: Why the run ends before its last epoch, if it does.
        signals: Where stop requests arrive; what trains within a run (a teacher) listens there too.
        synthetic: The examples are random numbers; known from the start, whatever techniques make of the data.
    """

    config: TrainConfig
    world: World
    device: torch.device
    techniques: Composition
    data: DataSplits
    model: nn.Module = field(init=False)
    forward: Forward = field(init=False)
    eval_forward: Forward = field(init=False)
    synthetic: bool = field(init=False)
    optimizer: Optimizer = field(init=False)
    scheduler: LRScheduler | None = field(init=False)
    epoch: int = 0
    step: int = 0
    step_in_epoch: int = 0
    order: Tensor | None = None
    samples: int = 0
    seconds: float = 0.0
    best: Evaluation | None = None
    best_step: int = 0
    stop_reason: str | None = None
    signals: StopSignals = field(default_factory=StopSignals)
    _replica: DistributedDataParallel | None = None

    def __post_init__(self) -> None:
        self.synthetic = self.data.synthetic

    @property
    def steps_per_epoch(self) -> int:
        """Steps of the current epoch, or of a full one between epochs."""
        examples = len(self.data.train) if self.order is None else len(self.order)
        return math.ceil(examples / self.config.batch_size)

    @property
    def total_steps(self) -> int:
        """Steps of the whole run as far as can be told now: an epoch's order may leave examples out."""
        full = math.ceil(len(self.data.train) / self.config.batch_size)
        if self.epoch >= self.config.epochs:
            return self.step
        later = (self.config.epochs - self.epoch - 1) * full
        return self.step - self.step_in_epoch + self.steps_per_epoch + later

    def request_stop(self, reason: str) -> None:
        """End the run after this step or epoch, as a success; the first reason stays."""
        self.stop_reason = self.stop_reason or reason

    def install_model(self, model: nn.Module) -> None:
        """Put the model to work: device, process group, wrappers, optimizer and schedule."""
        self.model = model.to(self.device)
        self.forward = self.eval_forward = self.techniques.wrap_forward(self, self.model)
        self._replica = None
        if self.world.size > 1:
            # Outermost: a compiler cannot follow the exchange of gradients.
            self._replica = DistributedDataParallel(
                _Called(self.model, self.forward),
                device_ids=[self.device.index] if self.device.type == "cuda" else None,
            )
            self.forward = self._replica
        optimizer = AdamW(self.model.parameters(), lr=self.config.lr, weight_decay=self.config.weight_decay)
        optimization = self.techniques.configure_optimizer(
            self,
            Optimization(optimizer=optimizer, scheduler=CosineAnnealingLR(optimizer, T_max=self.total_steps)),
        )
        self.optimizer, self.scheduler = optimization.optimizer, optimization.scheduler

    def replace_model(self, model: nn.Module) -> None:
        """Go on with another model (physically pruned, say): a fresh optimizer, the schedule where it was."""
        before = self.scheduler
        self.install_model(model)
        if before is not None and self.scheduler is not None:
            self.scheduler.load_state_dict(before.state_dict())
            for group, rate in zip(self.optimizer.param_groups, before.get_last_lr(), strict=False):
                group["lr"] = rate

    def gradient_exchange(self, *, wanted: bool) -> AbstractContextManager[object]:
        """Around forward and backward: average gradients over processes now, or with a later micro-batch."""
        if wanted or self._replica is None:
            return nullcontext()
        return self._replica.no_sync()


class _Called(nn.Module):
    """A model as its wrappers call it, with its parameters."""

    def __init__(self, model: nn.Module, forward: Forward) -> None:
        super().__init__()
        self.model = model
        self.call = forward

    def forward(self, inputs: Tensor) -> Tensor:
        return self.call(inputs)
