"""RandAugment: a few operations on images, drawn at random, at one strength for all; torchvision's, on whole batches.

torchvision draws the operations for all the images that it is given at once, so a batch is cut into groups, each with
draws of its own; as many groups as examples is the method as published, fewer cost less. Operations are defined on
bytes: inputs become pixels from 0 to 255 again, and are standardised as before afterwards, wherever they are. What must
hold: labels, shapes and types stay; pixels stay within black and white; draws come from torch's own stream.

Source: Cubuk et al., "RandAugment: Practical Automated Data Augmentation with a Reduced Search Space" (2019).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from frugal.data import DataSplits, PixelScale
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Batch, Stage, Technique

STRENGTHS = 31  # torchvision's
BRIGHTEST = 255


@dataclass
class RandAugment(Technique):
    """Changes images by operations that are drawn at random.

    Attributes:
        operations: How many one image goes through.
        magnitude: Their strength, from 0 to 30.
        groups: Into how many parts a step's examples are cut, each with operations of its own.
    """

    operations: int = 2
    magnitude: int = 9
    groups: int = 8

    name = "randaugment"
    stage = Stage.BATCH

    def __post_init__(self) -> None:
        if self.operations < 1:
            raise TechniqueError(f"randaugment: operations={self.operations}: use 1 or more, 2 is a good start")
        if not 0 <= self.magnitude < STRENGTHS:
            raise TechniqueError(f"randaugment: magnitude={self.magnitude}: use 0 to {STRENGTHS - 1}")
        if self.groups < 1:
            raise TechniqueError(f"randaugment: groups={self.groups}: use 1 or more")

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """See `Technique.prepare_data`."""
        if data.pixels is None or data.shape[0] not in (1, 3):
            raise TechniqueError(
                f"randaugment: data {run.config.data!r} are not known to be images of 1 or 3 channels: "
                "use a set of images, or leave randaugment out"
            )
        from torchvision.transforms import v2  # type: ignore[import-untyped]  # a second, and only this needs it

        self._change: Any = v2.RandAugment(
            num_ops=self.operations, magnitude=self.magnitude, num_magnitude_bins=STRENGTHS
        )
        return data

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """See `Technique.transform_batch`."""
        scale = run.data.pixels
        if scale is None:
            raise TechniqueError(
                "randaugment: a technique turned the images into something else: leave one of them out"
            )
        pixels = to_bytes(batch.inputs, scale)
        # The order of examples is random already: neighbours have nothing in common but the operations.
        changed = torch.cat([self._change(group) for group in pixels.chunk(self.groups)])
        return dataclasses.replace(batch, inputs=from_bytes(changed, scale, batch.inputs.dtype))


def to_bytes(inputs: Tensor, scale: PixelScale) -> Tensor:
    """Standardised inputs ``[n, c, h, w]`` as pixels from 0 to 255, uint8; what lies outside becomes black or white."""
    mean, deviation = _figures(scale, inputs)
    pixels = (inputs * deviation + mean) * (BRIGHTEST / scale.white)
    return pixels.round().clamp(0, BRIGHTEST).to(torch.uint8)


def from_bytes(pixels: Tensor, scale: PixelScale, dtype: torch.dtype) -> Tensor:
    """Pixels as inputs, standardised as the training part is."""
    inputs = pixels.to(dtype)
    mean, deviation = _figures(scale, inputs)
    return (inputs * (scale.white / BRIGHTEST) - mean) / deviation


def _figures(scale: PixelScale, inputs: Tensor) -> tuple[Tensor, Tensor]:
    mean, deviation = (inputs.new_tensor(figure)[:, None, None] for figure in (scale.mean, scale.deviation))
    return mean, deviation
