"""Model pruning: weights of small magnitude are removed while the others go on learning.

The share that is gone rises with the cubic schedule of Zhu & Gupta ("To prune, or not to prune", 2017): fast at first,
when much is redundant, slower towards the end. What is gone stays gone: its gradients are cleared before each update
and its weights after it, so neither momentum nor weight decay nor Adam's averages bring it back.

Cut-out channels end in a physically smaller model. Single weights and the 2:4 pattern end in zeros of the same dense
model: they cost as many bytes and FLOPs until a runtime makes use of zeros, and the figures say so.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn

from frugal.costs.flops import Cost, measure
from frugal.errors import ConfigError
from frugal.methods import chain
from frugal.methods.masks import CHANNELS, SCOPES, STRUCTURES, TWO_OF_FOUR, Masks
from frugal.run import Run
from frugal.technique import Stage, Technique, Value

log = logging.getLogger(__name__)


@dataclass
class Pruning(Technique):
    """Removes weights by magnitude, gradually.

    Attributes:
        structure: ``unstructured`` (single weights), ``channels`` (whole hidden units) or ``2:4`` (two of each four).
        sparsity: Share that is gone in the end: of weights, or of hidden units; always 0.5 for 2:4.
        scope: ``global`` compares all layers and lets each lose what it can spare, ``layer`` takes the share from each.
        begin: Share of training after which the first weights go.
        end: Share of training at which the sparsity is reached; equal to ``begin``, everything goes at once.
        rounds: In how many rounds the weights go between the two.
    """

    structure: str = "unstructured"
    sparsity: float = 0.5
    scope: str = "global"
    begin: float = 0.1
    end: float = 0.7
    rounds: int = 20

    name = "pruning"
    stage = Stage.WEIGHTS

    def __post_init__(self) -> None:
        for option, known in (("structure", STRUCTURES), ("scope", SCOPES)):
            if getattr(self, option) not in known:
                raise _wrong(option, getattr(self, option), f"use one of {', '.join(known)}")
        if not 0 < self.sparsity < 1:
            raise _wrong("sparsity", self.sparsity, "use a share between 0 and 1, 0.5 is a good start")
        if self.structure == TWO_OF_FOUR and self.sparsity != 0.5:
            raise _wrong("sparsity", self.sparsity, "structure=2:4 removes exactly half: use 0.5, or another structure")
        for option in ("begin", "end"):
            if not 0 <= getattr(self, option) <= 1:
                raise _wrong(option, getattr(self, option), "use a share of the training, from 0 to 1")
        if self.begin > self.end:
            raise _wrong("begin", self.begin, f"use at most end={self.end}")
        if self.rounds < 1:
            raise _wrong("rounds", self.rounds, "use a whole number of at least 1")
        self._masks: Masks | None = None
        self._wanted = 0.0  # of the last round
        self._before: Cost | None = None
        self._after: Cost | None = None

    def sparsity_at(self, progress: float) -> float:
        """The share that is gone when the share ``progress`` of the training is done (Zhu & Gupta, equation 1)."""
        if progress >= self.end:
            return self.sparsity
        if progress < self.begin:
            return 0.0
        done = math.floor(self.rounds * (progress - self.begin) / (self.end - self.begin)) / self.rounds
        return self.sparsity * (1 - (1 - done) ** 3)

    def start(self, run: Run) -> None:
        """Refuse a model that cannot be pruned so, before any work is spent on it."""
        if run.step == 0:
            self._masks, self._wanted = Masks.all_kept(run.model, self.structure, self.scope), 0.0
            self._prune(run)

    def before_update(self, run: Run) -> None:
        """What is gone has no gradient."""
        self._current.apply_to_gradients(run.model)

    def after_step(self, run: Run) -> None:
        """What is gone stays gone, and more goes when it is time."""
        self._prune(run)

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """Cut out the channels that are gone; other structures stay as zeros."""
        masks = self._current
        if self._wanted < self.sparsity:
            log.warning(
                "pruning ends at a sparsity of %.3g instead of %.3g, as training ended after %d of %d steps: "
                "choose a smaller end= than %g, or train on",
                masks.sparsity,
                self.sparsity,
                run.step,
                run.total_steps,
                self.end,
            )
        self._before = measure(model, run.data.shape)
        masks.apply(model)
        if self.structure == CHANNELS:
            model = chain.without_units(model, {name: mask.flatten() for name, mask in masks.kept.items()})
        self._after = measure(model, run.data.shape)
        return model

    def results(self, run: Run) -> Mapping[str, Value]:
        """Sparsity reached; what the model cost before and costs now, once it is finished."""
        figures: dict[str, Value] = {"sparsity": self._current.sparsity}
        if self._before is not None and self._after is not None:
            figures["nonzero_parameters"] = self._after.nonzero
            for figure in ("parameters", "bytes", "flops"):
                figures[f"{figure}_before"] = getattr(self._before, figure)
                figures[f"{figure}_after"] = getattr(self._after, figure)
        return figures

    def state_dict(self) -> dict[str, Any]:
        """The masks and how far the schedule came."""
        return {"wanted": self._wanted, "kept": dict(self._current.kept)}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """See `Technique.load_state_dict`."""
        kept = {name: mask.to(run.device) for name, mask in state["kept"].items()}
        self._masks, self._wanted = Masks(self.structure, self.scope, kept), state["wanted"]

    @property
    def _current(self) -> Masks:
        if self._masks is None:
            raise RuntimeError("pruning has not been started")
        return self._masks

    def _prune(self, run: Run) -> None:
        wanted = self.sparsity_at(run.step / run.total_steps)
        # A technique that leaves examples out makes the training shorter as it goes: never take a round back.
        if wanted > self._wanted:
            self._current.grow(run.model, wanted)
            self._wanted = wanted
        self._current.apply(run.model)


def _wrong(option: str, value: object, remedy: str) -> ConfigError:
    return ConfigError(f"pruning,{option}", value, remedy)
