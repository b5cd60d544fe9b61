"""Models by name: plain ones to start from, and published small architectures for images of any size.

What must hold for all of them, and why there is no batch normalisation: no example's result may depend on the others
of its batch. A shard's or micro-batch's statistics would make it depend on the number of processes or parts, and the
running averages would differ between processes. Where the published network normalises batches, ours normalises groups
of channels (Wu & He, "Group Normalization", 2018), which has as many parameters.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from frugal import catalog
from frugal.errors import ConfigError
from frugal.models.plain import DROPOUT, Shape, SpatialMean

__all__ = ["DROPOUT", "MODELS", "Shape", "SpatialMean", "build"]

MODELS: dict[str, Callable[[Shape, int], nn.Module]] = {
    name: catalog.resolve(reference) for name, reference in catalog.MODELS.items()
}


def build(name: str, shape: Shape, classes: int) -> nn.Module:
    """A new model called ``name`` with random weights from torch's current seed.

    Raises:
        ConfigError: There is no such model.
    """
    if name not in MODELS:
        raise ConfigError("model", name, f"use one of {', '.join(MODELS)}")
    return MODELS[name](shape, classes)
