"""Costs of a model are counted right, and counting leaves no trace."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from frugal import models
from frugal.costs.flops import count_flops, measure, stored_bytes


def test_linear_layers_by_hand() -> None:
    model = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3, bias=False))
    cost = measure(model, (5,))
    assert cost.parameters == cost.nonzero == 5 * 7 + 7 + 7 * 3
    assert cost.bytes == 4 * cost.parameters
    assert cost.flops == 2 * (5 * 7 + 7 * 3)


def test_convolutions_by_hand() -> None:
    layer = nn.Conv2d(2, 6, kernel_size=3, stride=2, padding=1)
    assert count_flops(layer, (2, 8, 8)) == 2 * (4 * 4) * 6 * (2 * 3 * 3)


def test_zeros_are_stored_and_multiplied_like_any_number() -> None:
    model = models.build("mlp", (1, 4, 4), 4)
    dense = measure(model, (1, 4, 4))
    with torch.no_grad():
        next(model.parameters())[:64] = 0
    sparse = measure(model, (1, 4, 4))
    assert (sparse.bytes, sparse.flops, sparse.parameters) == (dense.bytes, dense.flops, dense.parameters)
    assert sparse.nonzero == dense.nonzero - 64 * 16


def test_bytes_follow_the_precision_and_count_buffers_and_packed_weights_once() -> None:
    class Packed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.packed = (torch.zeros(10, dtype=torch.int8), torch.zeros(2))
            self.register_buffer("scale", torch.zeros(3))

        def get_extra_state(self) -> tuple[Tensor, ...]:
            return self.packed

    linear = nn.Linear(4, 4, bias=False)
    assert stored_bytes(nn.ModuleList([linear, linear])) == 4 * 4 * 4
    assert stored_bytes(nn.ModuleList([linear, nn.Linear(4, 4, bias=False)])) == 2 * 4 * 4 * 4
    assert stored_bytes(linear.to(torch.bfloat16)) == 4 * 4 * 2
    assert stored_bytes(Packed()) == 10 + 2 * 4 + 3 * 4


def test_counting_leaves_no_trace() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.calls = 0

        def forward(self, inputs: Tensor) -> Tensor:
            self.calls += 1
            return inputs + torch.rand_like(inputs)

    noisy = Noisy()
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Dropout(), noisy).train()
    stream = torch.get_rng_state()
    measure(model, (4,))
    assert torch.equal(torch.get_rng_state(), stream)
    assert noisy.calls == 0
    assert all(module.training for module in model.modules())
