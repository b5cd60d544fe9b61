"""Core-set: choose a share of the training examples once, before training, and learn from them alone.

The main process chooses and tells the others, so all have the same set, whatever their rounding; a checkpoint keeps the
choice, so a run that resumes on another device or with other threads goes on with the set it began with. What the
choice costs (a proxy's training, the distances) is part of the run and of what is measured.

Sources: k-center greedy, Sener and Savarese 2018; herding, Welling 2009 (see `frugal.methods.selection`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from frugal.config import TrainConfig
from frugal.data import DataSplits, Examples
from frugal.errors import CheckpointError, ConfigError
from frugal.methods.proxy import BLOCK, penultimate, train_proxy
from frugal.methods.selection import METHODS, select
from frugal.run import Run
from frugal.technique import Claim, Stage, Technique, Value

FEATURES = ("pixels", "proxy")


@dataclass
class Coreset(Technique):
    """Keeps the examples that stand for the others.

    Attributes:
        method: k-center (covers the set), herding (keeps its mean) or random.
        share: Of the examples that are kept.
        features: What distances are taken in: pixels, or proxy, the last hidden layer of a short plain training.
        proxy_epochs: How long that training is.
        balanced: Choose class by class, the same share of each; also the faster way.
    """

    method: str = "k-center"
    share: float = 0.5
    features: str = "pixels"
    proxy_epochs: int = 2
    balanced: bool = True

    name = "coreset"
    stage = Stage.DATA
    claims = frozenset({Claim.EXAMPLES})

    def __post_init__(self) -> None:
        self._whole: Examples | None = None
        self._subset: Examples | None = None
        self._chosen = torch.empty(0, dtype=torch.int64)
        self._available = 0

    def check(self, config: TrainConfig) -> None:
        """See `Technique.check`."""
        if self.method not in METHODS:
            raise ConfigError("coreset,method", self.method, f"use one of {', '.join(METHODS)}")
        if not 0 < self.share <= 1:
            raise ConfigError("coreset,share", self.share, "use a share above 0 and up to 1, 0.5 keeps half")
        if self.features not in FEATURES:
            raise ConfigError("coreset,features", self.features, f"use one of {', '.join(FEATURES)}")
        if self.proxy_epochs < 1:
            raise ConfigError("coreset,proxy_epochs", self.proxy_epochs, "use a whole number of at least 1")

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """See `Technique.prepare_data`."""
        payload = self._choose(run, data).numpy().tobytes() if run.world.is_main else None
        agreed = run.world.from_main(payload) or b""
        self._chosen = torch.from_numpy(np.frombuffer(agreed, dtype=np.int64).copy())
        self._whole, self._available = data.train, len(data.train)
        self._subset = data.train.subset(self._chosen)
        return dataclasses.replace(data, train=self._subset)

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        self._whole = self._subset = None  # nobody asks for the others any more: give their memory back

    def results(self, run: Run) -> Mapping[str, Value]:
        """See `Technique.results`."""
        return {
            "examples": self._available,
            "examples_per_epoch": len(self._chosen),
            "share_seen": len(self._chosen) / self._available,
            "proxy_samples": self.proxy_epochs * self._available if self._uses_proxy else 0,
        }

    def state_dict(self) -> dict[str, Any]:
        """See `Technique.state_dict`."""
        return {"chosen": self._chosen}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """See `Technique.load_state_dict`."""
        if torch.equal(state["chosen"], self._chosen):
            return
        if self._whole is None or run.data.train is not self._subset:
            raise CheckpointError(
                "the checkpoint was made with another core-set, and the data was changed since it was chosen: "
                "resume with the device and threads of the first attempt, or start over with --no-resume"
            )
        self._chosen = state["chosen"]
        self._subset = self._whole.subset(self._chosen)
        run.data = dataclasses.replace(run.data, train=self._subset)

    @property
    def _uses_proxy(self) -> bool:
        return self.features == "proxy" and self.method != "random"

    def _choose(self, run: Run, data: DataSplits) -> Tensor:
        on_gpu = run.device.type == "cuda"
        # Only the main process draws: its streams must stay those of the others.
        with torch.random.fork_rng(devices=[run.device] if on_gpu else []):
            every = torch.arange(len(data.train))
            labels = torch.cat([data.train.batch(block, torch.device("cpu"))[1] for block in torch.split(every, BLOCK)])
            looked_at = self._feature_function(run, data)
            return select(METHODS[self.method], looked_at, labels, self.share, balanced=self.balanced)

    def _feature_function(self, run: Run, data: DataSplits) -> Callable[[Tensor], Tensor]:
        """Features of numbered examples, computed block by block, on the run's device."""
        if self.method == "random":
            return lambda indices: indices[:, None]
        if self._uses_proxy:
            model = train_proxy(run, data, self.proxy_epochs)
            hidden = penultimate(model)
            return lambda indices: torch.cat(
                [hidden(data.train.batch(block, run.device)[0]) for block in torch.split(indices, BLOCK)]
            )
        return lambda indices: data.train.batch(indices, torch.device("cpu"))[0].flatten(1).to(run.device)
