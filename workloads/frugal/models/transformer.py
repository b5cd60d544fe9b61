"""A small vision transformer: torchvision's, over an image cut into 64 patches or fewer.

The published ones are too large for small images; depth and width here are our own choice. Attention is written out in
`nn.Linear` layers: torch's `nn.MultiheadAttention` answers with one closed kernel when it does not train, of which the
counter of operations sees nothing, and its weights are out of reach of techniques that replace linear layers.

Source: Dosovitskiy et al., "An Image is Worth 16x16 Words" (2020).
"""

from __future__ import annotations

import math

from torch import Tensor, nn
from torch.nn import functional

from frugal.models.plain import DROPOUT, Shape

PATCHES_PER_SIDE = 8  # at most; 28 pixels become 7 patches of 4
LEAST_PATCH = 2  # a single pixel says too little to attend to
WIDTH = 96
HEADS = 4
LAYERS = 4
HIDDEN = 2 * WIDTH


class SelfAttention(nn.Module):
    """Attention of each patch to all, by several heads; called as `nn.MultiheadAttention` is.

    Args:
        width: Length of a patch's vector.
        heads: Into how many parts it is cut.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.inward = nn.Linear(width, 3 * width)
        self.outward = nn.Linear(width, width)
        # As in nn.MultiheadAttention: queries, keys and values are one matrix.
        nn.init.xavier_uniform_(self.inward.weight)
        nn.init.zeros_(self.inward.bias)
        nn.init.zeros_(self.outward.bias)

    def forward(self, patches: Tensor, *_: Tensor, need_weights: bool = False) -> tuple[Tensor, None]:
        """``[n, patches, width]`` to the same; the weights are never given."""
        count, length, width = patches.shape
        parts = self.inward(patches).view(count, length, 3, self.heads, width // self.heads)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(query, key, value)
        return self.outward(seen.transpose(1, 2).reshape(count, length, width)), None


class PadToSquare(nn.Module):
    """Adds the mean of standardised pixels, 0, to the right and below.

    Args:
        side: Height and width of what comes out.
    """

    def __init__(self, side: int) -> None:
        super().__init__()
        self.side = side

    def forward(self, images: Tensor) -> Tensor:
        """``[n, c, h, w]`` to ``[n, c, side, side]``."""
        height, width = images.shape[2:]
        return functional.pad(images, (0, self.side - width, 0, self.side - height))


def vit(shape: Shape, classes: int) -> nn.Module:
    """Four layers, 96 wide, with four heads."""
    from torchvision import models  # type: ignore[import-untyped]  # a second to import, and only some models need it

    channels, height, width = shape
    patch = max(LEAST_PATCH, math.ceil(max(height, width) / PATCHES_PER_SIDE))
    side = math.ceil(max(height, width) / patch) * patch
    network = models.VisionTransformer(
        image_size=side,
        patch_size=patch,
        num_layers=LAYERS,
        num_heads=HEADS,
        hidden_dim=WIDTH,
        mlp_dim=HIDDEN,
        dropout=DROPOUT,
        num_classes=classes,
    )
    for layer in network.encoder.layers:
        layer.self_attention = SelfAttention(WIDTH, HEADS)
    if channels != 3:
        network.conv_proj = _patches(channels, patch)
    return nn.Sequential(PadToSquare(side), network) if (height, width) != (side, side) else network


def _patches(channels: int, patch: int) -> nn.Conv2d:
    """What makes vectors of patches, its weights drawn as torchvision does."""
    layer = nn.Conv2d(channels, WIDTH, kernel_size=patch, stride=patch)
    nn.init.trunc_normal_(layer.weight, std=math.sqrt(1 / (channels * patch**2)))
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer
