"""Learning rates as a function of progress, the share of the run that is done.

torch's own schedules count steps towards a total fixed at the start. Here epochs may leave examples out (data pruning),
so the total is only known at the end: progress is counted in epochs instead, each by the steps that it really has. A
curve therefore always ends with the run, and moves at every step. What must hold: the state is plain values, and the
same progress gives the same rate whatever process or attempt asks.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor
from torch.optim import Optimizer
from torch.optim.lr_scheduler import CosineAnnealingLR, LRScheduler

from frugal.errors import TechniqueError

if TYPE_CHECKING:
    from frugal.run import Run

Shape = Callable[[float], float]
"""Progress, 0 to 1, to the share of the peak rate."""

_KEPT = ("last_epoch", "_last_lr", "_step_count")


class Curve(LRScheduler):
    """Each group's rate follows ``shape`` over the run.

    Args:
        optimizer: Its rates as it comes are the peaks.
        run: Tells the progress.
        shape: The curve.
    """

    def __init__(self, optimizer: Optimizer, run: Run, shape: Shape) -> None:
        self.run = run
        self.shape = shape
        super().__init__(optimizer)  # makes the first step, so it comes last

    @property
    def progress(self) -> float:
        """Share of the run that is done before the step that the next rate is for."""
        # `last_epoch` is torch's name for the steps taken. It is ahead of `run.step` while the trainer is between the
        # two; the start of the epoch is not affected by that.
        steps = self.last_epoch - (self.run.step - self.run.step_in_epoch)
        epochs = self.run.epoch + steps / max(1, self.run.steps_per_epoch)
        return min(1.0, max(0.0, epochs / self.run.config.epochs))

    def get_lr(self) -> list[float | Tensor]:
        """The groups' rates for the next step."""
        share = self.shape(self.progress)
        return [peak * share for peak in self.base_lrs]

    def state_dict(self) -> dict[str, Any]:
        """Plain values only: the curve comes from the options, the peaks from the optimizer."""
        return {name: getattr(self, name) for name in _KEPT}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Put it back."""
        for name in _KEPT:
            setattr(self, name, state_dict[name])


def moved(scheduler: LRScheduler | None, optimizer: Optimizer) -> LRScheduler | None:
    """The same schedule for an optimizer that takes another's place, whose rates are the new peaks.

    Raises:
        TechniqueError: It is of a kind that cannot be made anew.
    """
    if scheduler is None:
        return None
    if isinstance(scheduler, Curve):
        return Curve(optimizer, scheduler.run, scheduler.shape)
    if isinstance(scheduler, CosineAnnealingLR):
        return CosineAnnealingLR(optimizer, T_max=scheduler.T_max, eta_min=scheduler.eta_min)
    raise TechniqueError(
        f"optimizer: a schedule of type {type(scheduler).__name__} cannot be moved to another optimizer: "
        "name the technique that brings it after optimizer, or use --with schedule"
    )
