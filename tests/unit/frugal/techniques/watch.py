"""What tests of pruning look at a run with."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frugal.run import Run
from frugal.technique import Claim, Optimization, Stage, Technique


class Watch(Technique):
    """Keeps what the weights were after each step, and the models before and after they were finished."""

    name = "watch"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.weights: list[dict[str, Tensor]] = []
        self.progress: list[float] = []
        self.trained = nn.Module()
        self.finished = nn.Module()

    def after_step(self, run: Run) -> None:
        self.weights.append({name: value.clone() for name, value in run.model.state_dict().items()})
        self.progress.append(run.step / run.total_steps)

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        self.trained, self.finished = copy.deepcopy(run.model).eval(), copy.deepcopy(model).eval()
        return model

    def zeros(self) -> list[Tensor]:
        """After each step, which numbers of the layers' weights are zero: ``[weights]`` bool."""
        return [
            torch.cat([value.flatten() == 0 for name, value in weights.items() if name.endswith("weight")])
            for weights in self.weights
        ]


@dataclass
class Momentum(Technique):
    """SGD with momentum and weight decay: both move weights that have no gradient."""

    name = "momentum"
    stage = Stage.OPTIMIZER
    claims = frozenset({Claim.OPTIMIZER, Claim.SCHEDULE})

    def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
        optimizer = torch.optim.SGD(run.model.parameters(), lr=0.05, momentum=0.9, weight_decay=0.01)
        return Optimization(optimizer=optimizer, scheduler=None)
