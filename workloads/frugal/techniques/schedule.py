"""How the learning rate moves over a run, from a short warm-up to its end.

What must hold: the curve ends with the run even if epochs leave examples out, and a resumed run follows it unbroken
(see `frugal.methods.schedules`). Without this technique the rate falls as a cosine from the start, without warm-up.

Sources: cosine: Loshchilov & Hutter, "SGDR", 2017; warm-up: Goyal et al., "Accurate, Large Minibatch SGD", 2017;
one-cycle: Smith & Topin, "Super-Convergence", 2018 (the rate only: momentum stays as it is).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from frugal.errors import TechniqueError
from frugal.methods.schedules import Curve
from frugal.technique import Claim, Optimization, Stage, Technique, Value

if TYPE_CHECKING:
    from frugal.run import Run

KINDS = ("cosine", "linear", "step", "one-cycle", "constant")
WARMUP_START = 1 / 25  # share of the peak at the first step: none would waste that step
DEFAULT_WARMUP = 0.05
ONE_CYCLE_WARMUP = 0.3
_ROUNDING = 1e-9  # a drop due at a third of the run shall not come a step late


@dataclass
class Schedule(Technique):
    """Chooses the curve.

    Attributes:
        kind: cosine, linear, step, one-cycle or constant.
        warmup: Share of the run in which the rate rises to its peak, in a line (one-cycle: as a cosine); negative:
            0.3 for one-cycle, else 0.05.
        floor: Share of the peak at the end of cosine, linear and one-cycle.
        drops: How often step falls, at equal distances after the warm-up.
        drop_factor: What a drop multiplies the rate with.
    """

    kind: str = "cosine"
    warmup: float = -1.0
    floor: float = 0.0
    drops: int = 2
    drop_factor: float = 0.1

    name = "schedule"
    stage = Stage.OPTIMIZER
    claims = frozenset({Claim.SCHEDULE})

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise TechniqueError(f"schedule: kind={self.kind!r}: use one of {', '.join(KINDS)}")
        if not self.warmup < 1:
            raise TechniqueError(f"schedule: warmup={self.warmup}: use a share of the run below 1, such as 0.05")
        if not 0 <= self.floor <= 1:
            raise TechniqueError(f"schedule: floor={self.floor}: use a share of the peak rate between 0 and 1")
        if self.drops < 1:
            raise TechniqueError(f"schedule: drops={self.drops}: use at least 1, or kind=constant")
        if not 0 < self.drop_factor < 1:
            raise TechniqueError(f"schedule: drop_factor={self.drop_factor}: use a number between 0 and 1, such as 0.1")

    def share(self, progress: float) -> float:
        """The share of the peak rate at ``progress`` between 0 and 1."""
        warmup = self._warmup
        if progress < warmup:
            risen = progress / warmup
            if self.kind == "one-cycle":
                risen = (1 - math.cos(math.pi * risen)) / 2
            return WARMUP_START + (1 - WARMUP_START) * risen
        done = (progress - warmup) / (1 - warmup)
        match self.kind:
            case "cosine" | "one-cycle":
                return self.floor + (1 - self.floor) * (1 + math.cos(math.pi * done)) / 2
            case "linear":
                return self.floor + (1 - self.floor) * (1 - done)
            case "step":
                return self.drop_factor ** min(self.drops, int(done * (self.drops + 1) + _ROUNDING))
            case _:
                return 1.0

    def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
        """The curve in place of what was there."""
        return Optimization(optimizer=optimization.optimizer, scheduler=Curve(optimization.optimizer, run, self.share))

    def results(self, run: Run) -> Mapping[str, Value]:
        """The rate that it ended with."""
        return {"kind": self.kind, "final_lr": run.optimizer.param_groups[0]["lr"]}

    @property
    def _warmup(self) -> float:
        if self.warmup >= 0:
            return self.warmup
        return ONE_CYCLE_WARMUP if self.kind == "one-cycle" else DEFAULT_WARMUP
