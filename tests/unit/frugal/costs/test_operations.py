"""Multiply-adds are told apart by the precision of the layer that does them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from frugal import models
from frugal.costs.flops import count_flops
from frugal.costs.operations import macs_by_layer, operations


def test_layers_by_hand() -> None:
    model = nn.Sequential(nn.Conv2d(2, 6, kernel_size=3, stride=2, padding=1), nn.Flatten(), nn.Linear(96, 5))
    convolution, linear = 4 * 4 * 6 * 2 * 9, 96 * 5
    assert macs_by_layer(model, (2, 8, 8)) == {"0": convolution, "2": linear}
    assert operations(model, (2, 8, 8)) == {"mac-fp32": convolution + linear}
    assert operations(model, (2, 8, 8), {"0": "int8"}) == {"mac-int8": convolution, "mac-fp32": linear}
    assert operations(model, (2, 8, 8), {"0": "int8", "2": "int4"}) == {"mac-int8": convolution, "mac-int4": linear}
    assert operations(model, (2, 8, 8), otherwise="bf16") == {"mac-bf16": convolution + linear}


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_all_kinds_together_are_half_the_flops(name: str) -> None:
    model = models.build(name, (1, 8, 8), 10)
    first = next(iter(macs_by_layer(model, (1, 8, 8))))
    assert 2 * sum(operations(model, (1, 8, 8), {first: "int8"}).values()) == count_flops(model, (1, 8, 8))


def test_products_outside_of_layers_and_repeated_layers_count() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(4, 4)

        def forward(self, inputs: Tensor) -> Tensor:
            once: Tensor = self.layer(inputs)
            again: Tensor = self.layer(once)
            return again @ torch.ones(4, 3)

    assert operations(Twice(), (4,), {"layer": "int8"}) == {"mac-int8": 2 * 16, "mac-fp32": 12}


def test_what_cannot_be_counted_is_refused() -> None:
    model = nn.Sequential(nn.Linear(2, 2))
    with pytest.raises(ValueError, match=r"precision int3: use one of fp32"):
        operations(model, (2,), {"0": "int3"})
    with pytest.raises(ValueError, match=r"no linear or convolutional layer '1'"):
        operations(model, (2,), {"1": "int8"})


def test_counting_leaves_no_trace() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Dropout()).train()
    stream = torch.get_rng_state()
    operations(model, (2,))
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(module.training and not module._forward_hooks for module in model.modules())
