"""What techniques share that leave examples out of an epoch for what was measured on them in earlier ones.

`ExamplePruning` records one value of each example as it is learned from (no additional passes), brings the values of
all processes together when an epoch ends, counts what is used, and lets the learning rate fall by epochs: an epoch with
half the steps ends where it would have ended without pruning. Values are brought together once an epoch, so every
process decides from the same ones, and a value is a sum with zeros only: exact, whoever measured it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from frugal.data import DataSplits
from frugal.distributed import World
from frugal.methods.schedules import Curve
from frugal.run import Run
from frugal.technique import Batch, Claim, Evaluation, Optimization, Stage, Technique, Value


class ExamplePruning(Technique):
    """Base of techniques that choose an epoch's examples by what was measured; subclasses fill in the methods below."""

    stage = Stage.DATA
    claims = frozenset({Claim.EXAMPLES})
    excludes = frozenset({"mixup"})  # the loss of a mixture is no one example's

    def begin(self, run: Run, examples: int) -> None:
        """Nothing has been learned yet about the ``examples``."""
        raise NotImplementedError

    def choose(self, run: Run, order: Tensor) -> Tensor:
        """The epoch's examples, of those in ``order``; the same in every process."""
        raise NotImplementedError

    def measure(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor | None:
        """The value of each example ``[n]``; one that is not finite is not kept. None where nothing is asked."""
        raise NotImplementedError

    def learn(self, run: Run, values: Tensor) -> None:
        """Take in an epoch's values ``[examples]``, on the CPU; infinite where an example was not learned from."""
        raise NotImplementedError

    def memory(self) -> dict[str, Tensor]:
        """What was learned, by attribute."""
        raise NotImplementedError

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """See `Technique.prepare_data`."""
        self._values: Tensor | None = None
        self._world: World = run.world
        self._used = self._epochs = self._examples = 0
        return data

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """See `Technique.load_state_dict`."""
        values = self._begun(run)
        if run.world.is_main:  # one process has them, or they would add up
            values.copy_(state["values"])
        self._used, self._epochs = state["used"], state["epochs"]
        for attribute, tensor in state["memory"].items():
            setattr(self, attribute, tensor)

    def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
        """See `Technique.configure_optimizer`; the trainer's own cosine counts steps of which there are fewer now."""
        return Optimization(optimizer=optimization.optimizer, scheduler=Curve(optimization.optimizer, run, _cosine))

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        self._begun(run)

    def epoch_order(self, run: Run, order: Tensor) -> Tensor:
        """See `Technique.epoch_order`."""
        chosen = self.choose(run, order)
        self._used += len(chosen)
        self._epochs += 1
        return chosen

    @torch.no_grad()
    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        """See `Technique.compute_losses`."""
        measured = self.measure(run, batch, outputs.detach().float(), losses.detach().float())
        if measured is not None:
            values = self._begun(run)
            indices = batch.indices.to(values.device)
            # Padding repeats an example that another process has: its place stays as it is.
            values[indices] = torch.where(batch.weights > 0, measured, values[indices])
        return losses

    def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
        """See `Technique.after_epoch`."""
        self.learn(run, self._together())
        self._begun(run).fill_(torch.inf)

    def results(self, run: Run) -> Mapping[str, Value]:
        """See `Technique.results`."""
        if not self._epochs:
            return {"examples": self._examples}
        return {
            "examples": self._examples,
            "examples_per_epoch": self._used / self._epochs,
            "share_seen": self._used / (self._epochs * self._examples),
        }

    def state_dict(self) -> dict[str, Any]:
        """See `Technique.state_dict`."""
        return {"values": self._together(), "used": self._used, "epochs": self._epochs, "memory": self.memory()}

    def _begun(self, run: Run) -> Tensor:
        """This epoch's values, on the run's device; made when the number of examples is final."""
        if self._values is None:
            self._examples = len(run.data.train)
            self._values = torch.full((self._examples,), torch.inf, device=run.device)
            self.begin(run, self._examples)
        return self._values

    def _together(self) -> Tensor:
        """The values of all processes, on the CPU; collective."""
        assert self._values is not None  # noqa: S101
        measured = self._values.isfinite()
        values: Tensor = self._values.where(measured, torch.zeros_like(self._values))
        values, found = self._world.sum(torch.stack([values, measured.float()])).unbind()
        return values.where(found > 0, torch.full_like(values, torch.inf))


def _cosine(progress: float) -> float:
    return (1 + math.cos(math.pi * progress)) / 2
