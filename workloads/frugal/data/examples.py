"""What a data set is to the trainer: examples by number, in parts, with what is known of their shape.

Sets here are tensors in memory, moved to the device once: nothing is decoded or copied again while training.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


class Examples(Protocol):
    """A part of a data set, addressed by example number."""

    def __len__(self) -> int:
        """How many examples there are."""
        ...

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """Inputs ``[n, *shape]`` float32 and labels ``[n]`` int64 of the examples ``indices``, on ``device``."""
        ...

    def subset(self, indices: Tensor) -> Examples:
        """The examples ``indices`` as a set of their own, renumbered from 0."""
        ...


class TensorExamples:
    """Examples that fit in memory; they move to the device once and batches are gathered there.

    Args:
        inputs: ``[n, *shape]`` float32.
        labels: ``[n]`` int64.
    """

    def __init__(self, inputs: Tensor, labels: Tensor) -> None:
        self.inputs = inputs
        self.labels = labels

    def __len__(self) -> int:
        return len(self.labels)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        """See `Examples.batch`."""
        if self.labels.device != device:
            self.inputs, self.labels = self.inputs.to(device), self.labels.to(device)
        chosen = indices.to(device)
        return self.inputs[chosen], self.labels[chosen]

    def subset(self, indices: Tensor) -> TensorExamples:
        """See `Examples.subset`."""
        chosen = indices.to(self.labels.device)
        return TensorExamples(self.inputs[chosen], self.labels[chosen])


@dataclass(frozen=True, kw_only=True)
class PixelScale:
    """How inputs were made of pixels: ``(pixel - mean) / deviation``.

    Attributes:
        mean: Of the training part, for each channel.
        deviation: The same.
        white: The brightest value that a pixel can have; the darkest is 0.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    white: float


@dataclass(frozen=True, kw_only=True)
class DataSplits:
    """One data set, split.

    Attributes:
        shape: Channels, height and width of an input.
        classes: How many labels there are.
        test: Examples that no decision was based on; None where the set is too small to spare them.
        pixels: How to get from inputs back to pixels; None if they are no images.
        synthetic: Random numbers that mean nothing: good to measure speed with, and marked so in every result.
    """

    train: Examples
    validation: Examples
    test: Examples | None
    shape: tuple[int, int, int]
    classes: int
    pixels: PixelScale | None = None
    synthetic: bool = False
