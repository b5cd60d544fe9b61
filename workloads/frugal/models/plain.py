"""The plain models that techniques start from: small, and built of modules that are easy to replace.

Activations are `nn.ReLU` modules and layers sit in `nn.Sequential`, so that a technique can swap any of them by walking
the tree.
"""

from __future__ import annotations

import math

from torch import Tensor, nn

Shape = tuple[int, int, int]
DROPOUT = 0.1


def mlp(shape: Shape, classes: int) -> nn.Module:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), 128),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(128, 64),
        nn.ReLU(),
        nn.Linear(64, classes),
    )


def mlp_wide(shape: Shape, classes: int) -> nn.Module:
    """Two hidden layers, four times as wide as those of `mlp`."""
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(math.prod(shape), 512),
        nn.ReLU(),
        nn.Dropout(DROPOUT),
        nn.Linear(512, 256),
        nn.ReLU(),
        nn.Linear(256, classes),
    )


class SpatialMean(nn.Module):
    """Averages over height and width: any image size, and deterministic backwards on every device."""

    def forward(self, inputs: Tensor) -> Tensor:
        """``[n, c, h, w]`` to ``[n, c]``."""
        return inputs.mean(dim=(2, 3))


def cnn(shape: Shape, classes: int) -> nn.Module:
    """Three convolutions, the second with stride 2, and a linear head."""
    return nn.Sequential(
        nn.Conv2d(shape[0], 16, kernel_size=3, padding=1),
        nn.ReLU(),
        nn.Conv2d(16, 32, kernel_size=3, stride=2, padding=1),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel_size=3, padding=1),
        nn.ReLU(),
        SpatialMean(),
        nn.Dropout(DROPOUT),
        nn.Linear(64, classes),
    )
