"""Gradient accumulation: a step's batch goes through the model in several micro-batches, and moves the weights once.

For batches whose activations do not fit into memory. The gradients of the micro-batches add up to the gradient of the
whole batch: each example's loss is divided by the step's examples, not by its micro-batch's, so the sum is the same up
to rounding (and exactly the same where nothing is rounded) for weighted losses and an uneven last batch too. What looks
at several examples at once still sees a micro-batch only: batch normalisation, and the stream that dropout draws from.

What must hold: every process cuts its share into the same number of micro-batches, as each may exchange gradients.
Long practised; the arithmetic is that of Goyal et al., "Accurate, Large Minibatch SGD", 2017, section 3.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from frugal.errors import ConfigError, TechniqueError
from frugal.technique import Batch, Claim, Stage, Technique, Value

if TYPE_CHECKING:
    from frugal.config import TrainConfig
    from frugal.run import Run

DEFAULT_MICRO_BATCHES = 4


@dataclass
class Accumulation(Technique):
    """Splits each step's batch.

    Attributes:
        micro_batches: Into how many at most; fewer where the step has fewer examples. 0: as `micro_batch_size` says,
            and 4 if that is 0 too.
        micro_batch_size: Into as many as it takes for none to have more examples than this, in any process.
        passes: Forward and backward passes so far, in each process.
        largest: Examples in the largest micro-batch so far.
    """

    micro_batches: int = 0
    micro_batch_size: int = 0
    passes: int = field(default=0, init=False)
    largest: int = field(default=0, init=False)

    name = "accumulation"
    stage = Stage.EXECUTION
    claims = frozenset({Claim.MICRO_BATCHES})

    def __post_init__(self) -> None:
        for option in ("micro_batches", "micro_batch_size"):
            value = getattr(self, option)
            if value < 0:
                raise TechniqueError(f"accumulation: {option}={value}: use a whole number of at least 1")
        if self.micro_batches and self.micro_batch_size:
            raise TechniqueError(
                f"accumulation: micro_batches={self.micro_batches} and micro_batch_size={self.micro_batch_size} "
                "say the same thing twice: leave one out"
            )

    def check(self, config: TrainConfig) -> None:
        """More micro-batches than examples are a mistake."""
        if self.micro_batches > config.batch_size:
            raise ConfigError(
                "batch_size",
                config.batch_size,
                f"accumulation cannot cut it into micro_batches={self.micro_batches}: use a larger batch size, "
                "or fewer micro-batches",
            )

    def split_batch(self, run: Run, batch: Batch) -> Sequence[Batch]:
        """Micro-batches of equal size, but for the last."""
        examples = run.world.largest(len(batch))  # shares may differ by one, the number of parts must not
        size = self.micro_batch_size or math.ceil(examples / (self.micro_batches or DEFAULT_MICRO_BATCHES))
        # Counted anew from the rounded size: nine examples in four parts are three parts of three, and no empty one.
        parts = batch.split(math.ceil(examples / size))
        self.passes += len(parts)
        self.largest = max(self.largest, *map(len, parts))
        return parts

    def results(self, run: Run) -> Mapping[str, Value]:
        """What it came to."""
        return {"passes": self.passes, "largest_micro_batch": self.largest}

    def state_dict(self) -> dict[str, Any]:
        """The counts."""
        return {"passes": self.passes, "largest": self.largest}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """Go on counting."""
        self.passes, self.largest = state["passes"], state["largest"]
