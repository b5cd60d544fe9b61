"""Which rule moves the weights, and what its memory costs: all are torch's own.

Between steps an optimizer keeps up to two numbers per weight; `results` says how many bytes that came to. What must
hold: whatever schedule the run has goes with it, in whatever order the two are named, and so do parameters that other
techniques added to the optimizer.

Sources: heavy ball: Polyak, 1964; nesterov: Sutskever et al., "On the importance of initialization and momentum", 2013;
adam: Kingma & Ba, 2015; nadam: Dozat, "Incorporating Nesterov Momentum into Adam", 2016; adamw: Loshchilov & Hutter,
"Decoupled Weight Decay Regularization", 2019; adafactor: Shazeer & Stern, 2018: one number per row and column of a
matrix in place of one per weight. It is lean for matrices; of a convolution, torch factors the kernel's last two axes
only, which saves little at 3x3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.optim import SGD, Adafactor, Adam, AdamW, NAdam

from frugal.errors import TechniqueError
from frugal.methods.schedules import moved
from frugal.technique import Claim, Optimization, Stage, Technique, Value

if TYPE_CHECKING:
    from frugal.run import Run

MOMENTUM = 0.9
BETA2 = 0.999
_WITH_MOMENTUM = frozenset({"momentum", "nesterov", "adam", "nadam", "adamw"})
_WITH_BETA2 = frozenset({"adam", "nadam", "adamw"})
KINDS = ("sgd", "momentum", "nesterov", "adam", "nadam", "adamw", "adafactor")


@dataclass
class OptimizerChoice(Technique):
    """Replaces the trainer's AdamW.

    Attributes:
        kind: sgd, momentum, nesterov, adam, nadam, adamw or adafactor.
        lr: Peak learning rate; 0: the run's, which suits the adam family. The sgd family wants some 10 to 50 times
            that. Adafactor's is relative to each tensor's root mean square: 0.01 to 0.1.
        weight_decay: Negative: the run's. Decoupled from the gradient in adamw and adafactor, added to it (L2) in the
            others, as their authors have it.
        momentum: Weight of the past in the mean gradient (adam's beta1); not for sgd and adafactor.
        beta2: Weight of the past in the mean squared gradient of the adam family.
    """

    kind: str = "adamw"
    lr: float = 0.0
    weight_decay: float = -1.0
    momentum: float = MOMENTUM
    beta2: float = BETA2

    name = "optimizer"
    stage = Stage.OPTIMIZER
    claims = frozenset({Claim.OPTIMIZER})

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TechniqueError(f"optimizer: kind={self.kind!r}: use one of {', '.join(KINDS)}")
        if not 0 <= self.lr < math.inf:
            raise TechniqueError(f"optimizer: lr={self.lr}: use a positive number, or 0 for the run's --lr")
        if not self.weight_decay < math.inf:
            raise TechniqueError(
                f"optimizer: weight_decay={self.weight_decay}: use 0 or a small positive number, "
                "or -1 for the run's --weight-decay"
            )
        for option, default, users in (("momentum", MOMENTUM, _WITH_MOMENTUM), ("beta2", BETA2, _WITH_BETA2)):
            value = getattr(self, option)
            if not 0 <= value < 1:
                raise TechniqueError(f"optimizer: {option}={value}: use a number from 0 to below 1, such as {default}")
            if value != default and self.kind not in users:
                raise TechniqueError(
                    f"optimizer: {option}={value}: {self.kind} has none; leave it out, "
                    f"or use kind={'|'.join(kind for kind in KINDS if kind in users)}"
                )

    def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
        """The chosen optimizer over the same parameters, with the same schedule."""
        groups = [{"params": group["params"]} for group in optimization.optimizer.param_groups]
        optimizer = self._build(groups, self.lr or run.config.lr, self._weight_decay(run))
        return Optimization(optimizer=optimizer, scheduler=moved(optimization.scheduler, optimizer))

    def results(self, run: Run) -> Mapping[str, Value]:
        """What it keeps between steps."""
        size = state_bytes(run.optimizer)
        parameters = sum(p.numel() for group in run.optimizer.param_groups for p in group["params"])
        return {"kind": self.kind, "state_bytes": size, "state_bytes_per_parameter": size / max(1, parameters)}

    def _weight_decay(self, run: Run) -> float:
        return self.weight_decay if self.weight_decay >= 0 else run.config.weight_decay

    def _build(self, groups: list[dict[str, Any]], lr: float, weight_decay: float) -> torch.optim.Optimizer:
        betas = (self.momentum, self.beta2)
        match self.kind:
            case "sgd":
                return SGD(groups, lr=lr, weight_decay=weight_decay)
            case "momentum" | "nesterov":
                nesterov = self.kind == "nesterov" and self.momentum > 0  # torch refuses nesterov without momentum
                return SGD(groups, lr=lr, momentum=self.momentum, nesterov=nesterov, weight_decay=weight_decay)
            case "adam":
                return Adam(groups, lr=lr, betas=betas, weight_decay=weight_decay)
            case "nadam":
                return NAdam(groups, lr=lr, betas=betas, weight_decay=weight_decay)
            case "adafactor":
                return Adafactor(groups, lr=lr, weight_decay=weight_decay)
            case _:
                return AdamW(groups, lr=lr, betas=betas, weight_decay=weight_decay)


def state_bytes(optimizer: torch.optim.Optimizer) -> int:
    """Bytes of all tensors that the optimizer keeps between steps."""
    kept = (value for state in optimizer.state.values() for value in state.values() if isinstance(value, Tensor))
    return sum(tensor.numel() * tensor.element_size() for tensor in kept)
