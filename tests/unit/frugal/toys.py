"""Techniques that exist only to prove the seam."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Batch, Claim, Stage, Technique, Value


@dataclass
class Smoothing(Technique):
    """Label smoothing in the loss."""

    epsilon: float = 0.1

    name = "smoothing"
    stage = Stage.LOSS
    claims = frozenset({Claim.CRITERION})

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        uniform = -outputs.log_softmax(dim=1).mean(dim=1)
        return (1 - self.epsilon) * losses + self.epsilon * uniform


class NoDropout(Technique):
    """Removes what makes processes and micro-batches differ."""

    name = "no-dropout"
    stage = Stage.ARCHITECTURE

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        assert isinstance(model, nn.Sequential)
        return nn.Sequential(*(layer for layer in model if not isinstance(layer, nn.Dropout)))


@dataclass
class Accumulation(Technique):
    """A step's batch in several parts; counts them."""

    parts: int = 4
    passes: int = field(default=0, init=False)

    name = "accumulation"
    stage = Stage.EXECUTION
    claims = frozenset({Claim.MICRO_BATCHES})

    def split_batch(self, run: Run, batch: Batch) -> Sequence[Batch]:
        return batch.split(self.parts)

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        self.passes += 1
        return losses

    def results(self, run: Run) -> Mapping[str, Value]:
        return {"passes": self.passes}

    def state_dict(self) -> dict[str, Any]:
        return {"passes": self.passes}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        self.passes = state["passes"]


@dataclass
class HardExamples(Technique):
    """Skips, each epoch, the half of the examples that had the smallest loss so far, with some noise in the choice."""

    name = "hard-examples"
    stage = Stage.DATA
    claims = frozenset({Claim.EXAMPLES})

    def __post_init__(self) -> None:
        self.scores: Tensor | None = None

    def epoch_order(self, run: Run, order: Tensor) -> Tensor:
        if self.scores is None:
            self.scores = torch.full((len(order),), 10.0)
        noise = torch.rand(len(order), generator=torch.Generator().manual_seed(run.epoch))
        hardest = (self.scores + noise).argsort(descending=True)[: len(order) // 2]
        return order[torch.isin(order, hardest)]

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        assert self.scores is not None
        self.scores[batch.indices] = losses.detach()
        return losses

    def state_dict(self) -> dict[str, Any]:
        return {"scores": self.scores}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        self.scores = state["scores"]


@dataclass
class Shrink(Technique):
    """Goes on with half the hidden units after the first epoch: a model that changes its shapes halfway."""

    name = "shrink"
    stage = Stage.WEIGHTS

    def __post_init__(self) -> None:
        self.done = False

    def after_epoch(self, run: Run, evaluation: object) -> None:
        if not self.done:
            self._halve(run)

    def state_dict(self) -> dict[str, Any]:
        return {"done": self.done}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        if state["done"]:
            self._halve(run)

    def _halve(self, run: Run) -> None:
        assert isinstance(run.model, nn.Sequential)
        flatten, first, activation, dropout, second, *rest = run.model
        assert isinstance(first, nn.Linear)
        assert isinstance(second, nn.Linear)
        half = first.out_features // 2
        smaller, narrower = nn.Linear(first.in_features, half), nn.Linear(half, second.out_features)
        with torch.no_grad():
            smaller.weight.copy_(first.weight[:half])
            smaller.bias.copy_(first.bias[:half])
            narrower.weight.copy_(second.weight[:, :half])
            narrower.bias.copy_(second.bias)
        run.replace_model(nn.Sequential(flatten, smaller, activation, dropout, narrower, *rest))
        self.done = True


@dataclass
class StopAt(Technique):
    """Acts after a step, once: by default like a SIGTERM to this very process."""

    step: int = 1
    rank: int = -1

    name = "stop-at"
    stage = Stage.CONTROL

    def options(self) -> Mapping[str, Value]:
        return {}  # so that the resumed run may do without

    def __post_init__(self) -> None:
        self.act: Callable[[Run], object] = lambda run: os.kill(os.getpid(), signal.SIGTERM)

    def after_step(self, run: Run) -> None:
        if run.step == self.step and self.rank in (-1, run.world.rank):
            self.act(run)


def interrupt_at(step: int, signals: StopSignals, rank: int = -1) -> StopAt:
    """Requests a stop as the handler of SIGTERM would."""
    technique = StopAt(step=step, rank=rank)
    technique.act = lambda run: signals.handle(signal.SIGTERM)
    return technique


def never() -> StopAt:
    """Stands where `interrupt_at` stood, and does nothing."""
    return StopAt(step=-1)
