"""Example scores: some epochs on all examples tell which are hard; the rest of the training sees only the hardest.

The scores come from the training's own passes, so that scoring costs nothing but the warm-up epochs themselves.

- ``el2n``: the length of the error vector, softmax(outputs) - one-hot(label); Paul, Ganguli and Dziugaite, "Deep
  Learning on a Data Diet", 2021. There it is averaged over ten trainings, here over the warm-up epochs of one.
- ``forgetting``: how often an example was right and then wrong at its next visit, most of all if it was never right;
  Toneva et al., "An Empirical Study of Example Forgetting", 2019.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from frugal.config import TrainConfig
from frugal.errors import ConfigError
from frugal.methods.example_pruning import ExamplePruning
from frugal.run import Run
from frugal.technique import Batch

METHODS = ("el2n", "forgetting")
_TIES = 0x5C0_4E5


@dataclass
class Scores(ExamplePruning):
    """Keeps the hardest examples.

    Attributes:
        method: el2n or forgetting.
        warmup_epochs: Epochs on all examples, in which they are scored; forgetting shows from the second on.
        share: Of the examples that are kept afterwards.
    """

    method: str = "el2n"
    warmup_epochs: int = 3
    share: float = 0.5

    name = "scores"

    def check(self, config: TrainConfig) -> None:
        """See `Technique.check`."""
        if self.method not in METHODS:
            raise ConfigError("scores,method", self.method, f"use one of {', '.join(METHODS)}")
        if not 0 < self.share <= 1:
            raise ConfigError("scores,share", self.share, "use a share above 0 and up to 1, 0.5 keeps half")
        least = 2 if self.method == "forgetting" else 1
        if not least <= self.warmup_epochs < config.epochs:
            raise ConfigError(
                "scores,warmup_epochs",
                self.warmup_epochs,
                f"{self.method} needs at least {least}, and one epoch after them: this run has epochs={config.epochs}",
            )

    def begin(self, run: Run, examples: int) -> None:
        """See `ExamplePruning.begin`."""
        self._total = torch.zeros(examples)  # of errors, or of times forgotten
        self._visits = torch.zeros(examples)
        self._was_right = torch.zeros(examples, dtype=torch.bool)  # at the last visit
        self._ever_right = torch.zeros(examples, dtype=torch.bool)
        self._kept = torch.ones(examples, dtype=torch.bool)

    def choose(self, run: Run, order: Tensor) -> Tensor:
        """See `ExamplePruning.choose`."""
        return order[self._kept[order]]

    def measure(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor | None:
        """See `ExamplePruning.measure`."""
        if run.epoch >= self.warmup_epochs:
            return None
        if self.method == "forgetting":
            return (outputs.argmax(dim=1) == batch.labels).float()
        wanted = functional.one_hot(batch.labels, outputs.shape[1])
        lengths: Tensor = torch.linalg.vector_norm(outputs.softmax(dim=1) - wanted, dim=1)
        return lengths

    def learn(self, run: Run, values: Tensor) -> None:
        """See `ExamplePruning.learn`."""
        if run.epoch >= self.warmup_epochs:
            return
        visited = values.isfinite()
        self._visits += visited
        if self.method == "forgetting":
            right = visited & (values > 0)
            self._total += visited & self._was_right & ~right
            self._was_right = right.where(visited, self._was_right)
            self._ever_right |= right
        else:
            self._total += values.where(visited, torch.zeros_like(values))
        if run.epoch + 1 == self.warmup_epochs:
            self._keep_hardest(run.config.seed)

    def memory(self) -> dict[str, Tensor]:
        """See `ExamplePruning.memory`."""
        return {name: getattr(self, name) for name in ("_total", "_visits", "_was_right", "_ever_right", "_kept")}

    def scores(self) -> Tensor:
        """The score of each example ``[examples]``, the hardest highest; what cannot be judged counts as hard."""
        if self.method == "forgetting":
            return self._total.masked_fill(~self._ever_right, torch.inf)
        return (self._total / self._visits).nan_to_num(nan=torch.inf)

    def _keep_hardest(self, seed: int) -> None:
        count = len(self._kept)
        # Many are forgotten equally often: among equals chance decides, not where in the data set they stand.
        shuffled = torch.from_numpy(np.random.default_rng((seed, _TIES)).permutation(count))
        hardest_first = shuffled[self.scores()[shuffled].sort(descending=True, stable=True).indices]
        self._kept = torch.zeros(count, dtype=torch.bool)
        self._kept[hardest_first[: max(1, round(self.share * count))]] = True
