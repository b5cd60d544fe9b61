"""A short plain training whose only product is features: what the last linear layer of the model gets to see.

Not the run's trainer: no techniques, no checkpoints, one process. It learns on the run's device at the run's batch size
and rate; random streams are the caller's.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from frugal import models, rng
from frugal.data import DataSplits
from frugal.errors import ConfigError
from frugal.run import Run

BLOCK = 2048
"""Examples whose features are computed at a time."""


def train_proxy(run: Run, data: DataSplits, epochs: int) -> nn.Module:
    """The run's model after ``epochs`` plain passes over all of ``data``."""
    config = run.config
    model = models.build(config.model, data.shape, data.classes).to(run.device)
    optimizer = torch.optim.AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)
    model.train()
    for epoch in range(epochs):
        order = rng.epoch_order(len(data.train), config.seed, epoch)
        for indices in torch.split(order, config.batch_size):
            inputs, labels = data.train.batch(indices, run.device)
            optimizer.zero_grad(set_to_none=True)
            torch.autograd.backward(functional.cross_entropy(model(inputs), labels))
            optimizer.step()
    return model.eval()


def penultimate(model: nn.Module) -> Callable[[Tensor], Tensor]:
    """A function from inputs ``[n, *shape]`` to what the last `nn.Linear` of ``model`` gets, ``[n, d]``.

    Raises:
        ConfigError: The model has no linear layer.
    """
    linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
    if not linear:
        raise ConfigError(
            "coreset,features", "proxy", "the model has no linear layer to look into: use features=pixels"
        )

    @torch.no_grad()
    def features(inputs: Tensor) -> Tensor:
        seen: list[Tensor] = []
        handle = linear[-1].register_forward_pre_hook(lambda _, arguments: seen.append(arguments[0].flatten(1)))
        try:
            model(inputs)
        finally:
            handle.remove()
        return seen[-1]

    return features
