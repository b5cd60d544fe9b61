"""MixUp and CutMix: learn from mixtures of two examples, with targets that say how much of each there is.

Partners come from the same batch; in a gang, from the process's own share of it, so that nothing is exchanged: there
are fewer to choose from, and an example alone in its process is mixed with itself. Both are one formula,
own · share + partner · (1 - share), where the share is one number for all pixels (MixUp) or 0 within a box and 1 around
it (CutMix); a target's share is the mean of its pixels' shares, hence exactly the area that is left. Draws are made on
the CPU, a few numbers an example; mixing is vectorised on the batch's device and never waits for it.

Sources: Zhang et al., "mixup: Beyond Empirical Risk Minimization", 2018; Yun et al., "CutMix", 2019.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Beta
from torch.nn import functional

from frugal.config import TrainConfig
from frugal.data import DataSplits
from frugal.errors import ConfigError
from frugal.run import Run
from frugal.technique import Batch, Stage, Technique, Value


@dataclass
class MixUp(Technique):
    """Mixes each example with another of its batch, or of its process's share of the batch in a gang.

    Attributes:
        alpha: MixUp's shares are drawn from Beta(alpha, alpha); 0 switches it off.
        cutmix_alpha: The same for CutMix; with both on, each mixes half of the examples.
        probability: Share of the examples that are mixed.
    """

    alpha: float = 0.2
    cutmix_alpha: float = 0.0
    probability: float = 1.0

    name = "mixup"
    stage = Stage.BATCH

    def check(self, config: TrainConfig) -> None:
        """See `Technique.check`."""
        for option in ("alpha", "cutmix_alpha"):
            value = getattr(self, option)
            if not 0 <= value < float("inf"):
                raise ConfigError(f"mixup,{option}", value, "use a positive number such as 0.2, or 0 to switch it off")
        if not self.alpha and not self.cutmix_alpha:
            raise ConfigError("mixup,alpha", self.alpha, "with cutmix_alpha=0.0 too nothing is mixed: set one of them")
        if not 0 < self.probability <= 1:
            raise ConfigError("mixup,probability", self.probability, "use a share above 0 and up to 1")

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """See `Technique.prepare_data`."""
        self._mixed = self._seen = 0
        return data

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """See `Technique.transform_batch`."""
        count, (_, height, width) = len(batch), run.data.shape
        mixed = torch.rand(count) < self.probability
        share = self._pixel_shares(count, height, width, batch.inputs.device)
        share = share.masked_fill(~mixed.to(share.device)[:, None, None, None], 1.0)
        partner = torch.randperm(count).to(share.device)
        targets = batch.targets
        if targets.dim() == 1:
            targets = functional.one_hot(targets, run.data.classes).float()
        own = share.mean(dim=(2, 3))
        self._mixed += int(mixed.sum())
        self._seen += count
        return dataclasses.replace(
            batch,
            inputs=batch.inputs * share + batch.inputs[partner] * (1 - share),
            targets=targets * own + targets[partner] * (1 - own),
        )

    def results(self, run: Run) -> Mapping[str, Value]:
        """See `Technique.results`."""
        return {"share_mixed": self._mixed / self._seen if self._seen else 0.0}

    def state_dict(self) -> dict[str, Any]:
        """See `Technique.state_dict`."""
        return {"mixed": self._mixed, "seen": self._seen}

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """See `Technique.load_state_dict`."""
        self._mixed, self._seen = state["mixed"], state["seen"]

    def _pixel_shares(self, count: int, height: int, width: int, device: torch.device) -> Tensor:
        """How much of each pixel stays an example's own, ``[count, 1, height, width]``."""
        if not self.cutmix_alpha:
            return _blended(count, self.alpha, height, width, device)
        if not self.alpha:
            return _cut(count, self.cutmix_alpha, height, width, device)
        cuts = (torch.rand(count) < 0.5).to(device)[:, None, None, None]
        blended = _blended(count, self.alpha, height, width, device)
        return _cut(count, self.cutmix_alpha, height, width, device).where(cuts, blended)


def _blended(count: int, alpha: float, height: int, width: int, device: torch.device) -> Tensor:
    return Beta(alpha, alpha).sample((count,)).to(device)[:, None, None, None].expand(count, 1, height, width)


def _cut(count: int, alpha: float, height: int, width: int, device: torch.device) -> Tensor:
    """0 within a box of the share 1 - λ of the area, anywhere in the image; what juts out is lost, as in the paper."""
    side = (1 - Beta(alpha, alpha).sample((count,))).sqrt()
    inside = [
        _interval(length, (length * side).long(), (torch.rand(count) * length).long(), device)
        for length in (height, width)
    ]
    return (~(inside[0][:, None, :, None] & inside[1][:, None, None, :])).float()


def _interval(length: int, extent: Tensor, centre: Tensor, device: torch.device) -> Tensor:
    """Which of ``length`` places lie in each interval, ``[n, length]``."""
    begin = (centre - extent // 2).to(device)[:, None]
    places = torch.arange(length, device=device)
    return (places >= begin) & (places < begin + extent.to(device)[:, None])
