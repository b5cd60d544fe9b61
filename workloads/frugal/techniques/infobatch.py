"""InfoBatch: each epoch leaves out, by chance, examples that are learned already; the others of them count for more.

An example is easy if its loss, when last learned from, was below the mean. Each easy one is left out with probability
r; the easy ones that stay weigh 1 / (1 - r), so that the sum of an epoch's gradients is, in expectation, that of a full
epoch. The first epoch has no losses to go by and the last ones shall meet every example: they are full.

Source: Qin et al., "InfoBatch: Lossless Training Speed Up by Unbiased Dynamic Data Pruning", 2024. As there, the mean
of a step's losses is over the examples in the batch: steps are fewer, not smaller.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from frugal.config import TrainConfig
from frugal.errors import ConfigError
from frugal.methods.example_pruning import ExamplePruning
from frugal.run import Run
from frugal.technique import Batch

_DRAWS = 0x1F0_BA7C


@dataclass
class InfoBatch(ExamplePruning):
    """Prunes a changing part of the easy examples, without bias.

    Attributes:
        probability: With which an easy example is left out of an epoch.
        annealing: Share of the epochs, at the end, that are full.
    """

    probability: float = 0.5
    annealing: float = 0.125

    name = "infobatch"

    def check(self, config: TrainConfig) -> None:
        """See `Technique.check`."""
        if not 0 < self.probability < 1:
            raise ConfigError("infobatch,probability", self.probability, "use a number between 0 and 1, such as 0.5")
        if not 0 <= self.annealing < 1:
            raise ConfigError("infobatch,annealing", self.annealing, "use 0 or a share below 1, such as 0.125")
        if self._full_from(config) < 2:
            raise ConfigError(
                "infobatch,annealing",
                self.annealing,
                f"with epochs={config.epochs} the full epochs at the beginning and the end leave none to prune: "
                "use more epochs or less annealing",
            )

    def begin(self, run: Run, examples: int) -> None:
        """See `ExamplePruning.begin`."""
        self._losses = torch.full((examples,), torch.inf)  # unknown
        self._weights = torch.ones(examples)

    def choose(self, run: Run, order: Tensor) -> Tensor:
        """See `ExamplePruning.choose`."""
        self._weights = torch.ones_like(self._weights)
        known = self._losses[self._losses.isfinite()]
        if run.epoch >= self._full_from(run.config) or not len(known):
            return order
        # An exact sum, so that processes on different processors agree; the largest loss is never easy.
        mean = min(math.fsum(known.tolist()) / len(known), float(known.max()))
        easy = self._losses.double() < mean
        drawn = np.random.default_rng((run.config.seed, run.epoch, _DRAWS)).random(len(easy))
        left_out = easy & torch.from_numpy(drawn < self.probability)
        self._weights[easy] = 1 / (1 - self.probability)
        return order[~left_out[order]]

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """See `Technique.transform_batch`."""
        weights = self._weights[batch.indices].to(batch.weights.device)
        return dataclasses.replace(batch, weights=batch.weights * weights)

    def measure(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor | None:
        """See `ExamplePruning.measure`."""
        return losses

    def learn(self, run: Run, values: Tensor) -> None:
        """See `ExamplePruning.learn`."""
        self._losses = values.where(values.isfinite(), self._losses)

    def memory(self) -> dict[str, Tensor]:
        """See `ExamplePruning.memory`."""
        return {"_losses": self._losses, "_weights": self._weights}

    def _full_from(self, config: TrainConfig) -> int:
        """The epoch from which on nothing is left out."""
        return config.epochs - math.ceil(config.epochs * self.annealing - 1e-9)
