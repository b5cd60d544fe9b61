"""The transformer's attention is torch's, in parts that can be counted and replaced; images of any size fit."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from frugal import models
from frugal.costs.flops import count_flops
from frugal.models.transformer import PadToSquare, SelfAttention


def test_attention_equals_torchs() -> None:
    torch.manual_seed(0)
    ours, torchs = SelfAttention(12, heads=3), nn.MultiheadAttention(12, 3, batch_first=True)
    torchs.load_state_dict(
        {
            "in_proj_weight": ours.inward.weight,
            "in_proj_bias": torch.randn(36),
            "out_proj.weight": ours.outward.weight,
            "out_proj.bias": ours.outward.bias,
        }
    )
    ours.inward.bias.data.copy_(torchs.in_proj_bias)
    patches = torch.randn(2, 5, 12)
    torch.testing.assert_close(ours(patches)[0], torchs(patches, patches, patches, need_weights=False)[0])


@pytest.mark.parametrize(("shape", "patches"), [((1, 8, 8), 16), ((1, 28, 28), 49), ((3, 32, 32), 64), ((3, 5, 7), 16)])
def test_every_product_is_counted(shape: models.Shape, patches: int) -> None:
    """A patch's matrices and the products of all pairs of patches, by hand."""
    model = models.build("vit", shape, classes=10)
    tokens, width = patches + 1, 96
    pixels = next(module for module in model.modules() if isinstance(module, nn.Conv2d)).weight[0].numel()
    layer = tokens * (4 * width**2 + 2 * width * 192) + 2 * tokens**2 * width
    assert count_flops(model, shape) == 2 * (patches * pixels * width + 4 * layer + width * 10)


def test_padding_is_the_mean_and_keeps_the_image() -> None:
    padded = PadToSquare(8)(torch.ones(1, 3, 5, 7))
    assert padded.shape == (1, 3, 8, 8)
    assert padded[:, :, :5, :7].eq(1).all()
    assert padded.sum() == 3 * 5 * 7
