"""Each model fits each data set, and its first weights follow the seed."""

from __future__ import annotations

import pytest
import torch

from frugal import models, rng
from frugal.errors import ConfigError


@pytest.mark.parametrize("name", sorted(models.MODELS))
@pytest.mark.parametrize("shape", [(1, 8, 8), (1, 28, 28), (3, 5, 7)])
def test_shapes(name: str, shape: models.Shape) -> None:
    assert models.build(name, shape, classes=10)(torch.zeros(2, *shape)).shape == (2, 10)


@pytest.mark.parametrize("name", sorted(models.MODELS))
def test_seed_decides_the_weights(name: str) -> None:
    def first_weights(seed: int) -> torch.Tensor:
        rng.seed_all(seed)
        return torch.cat([weights.flatten() for weights in models.build(name, (1, 8, 8), 10).parameters()])

    assert torch.equal(first_weights(1), first_weights(1))
    assert not torch.equal(first_weights(1), first_weights(2))


def test_unknown_model_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="model='resnet': use one of mlp, cnn"):
        models.build("resnet", (1, 8, 8), 10)
