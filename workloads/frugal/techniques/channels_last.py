"""Images and convolution weights with the channels innermost (NHWC in memory): the layout fast convolutions work on.

Shapes stay ``[n, c, h, w]``; only strides change, on CPU and CUDA. What must hold: results equal those of the default
layout up to rounding; a model that another technique puts in place halfway is laid out as well; a model that has
nothing to lay out is refused. Tensor cores and oneDNN use the layout without conversions: see torch's "Channels Last
Memory Format" tutorial.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Forward, Stage, Technique, Value

IMAGE_DIMENSIONS = 4


@dataclass(frozen=True)
class ChannelsLast(Technique):
    """Lays out weights and batches with the channels innermost."""

    name = "channels-last"
    stage = Stage.EXECUTION

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.build_model`."""
        if not _images(model):
            raise TechniqueError(
                f"channels-last: the model {run.config.model!r} has no convolutions, so no layout to choose: "
                "use another --model (cnn, say), or leave channels-last out"
            )
        return _laid_out(model)

    def wrap_forward(self, run: Run, forward: Forward) -> Forward:
        """See `Technique.wrap_forward`."""
        _laid_out(run.model)  # again: it may be another one than was built

        def on_channels_last(inputs: Tensor) -> Tensor:
            if inputs.dim() == IMAGE_DIMENSIONS:
                inputs = inputs.contiguous(memory_format=torch.channels_last)
            return forward(inputs)

        return on_channels_last

    def results(self, run: Run) -> Mapping[str, Value]:
        """Weights that are laid out so, of those that can be."""
        images = _images(run.model)
        return {"weights": len(images), "channels_last": sum(map(_is_laid_out, images))}


def _laid_out(model: nn.Module) -> nn.Module:
    return model.to(memory_format=torch.channels_last)  # changes the parameters in place


def _images(model: nn.Module) -> list[Tensor]:
    return [parameter for parameter in model.parameters() if parameter.dim() == IMAGE_DIMENSIONS]


def _is_laid_out(weight: Tensor) -> bool:
    return weight.is_contiguous(memory_format=torch.channels_last)
