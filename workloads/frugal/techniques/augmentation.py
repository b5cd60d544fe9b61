"""Augmentation that costs almost nothing: examples wait decoded on the device, a whole batch is changed at once.

Random shifts, horizontal flips and erased rectangles, each example by parameters of its own, in one gather and one mask
without a loop over examples or a copy to the CPU. What must hold: labels, shapes and dtypes stay; draws come from
torch's stream of the device, so that a resumed run goes on with the same ones.

Shifts: as random crops of a padded image, He et al. (2015). Erasing: Zhong et al., "Random Erasing Data Augmentation"
(2017), DeVries & Taylor, "Cutout" (2017). RandAugment is a technique of its own.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass

import torch
from torch import Tensor

from frugal.data import DataSplits, Examples, TensorExamples
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Batch, Stage, Technique

LEAST_AREA = 0.02  # of an erased rectangle, as a share of the image
LONGEST_SIDE = 3.3  # of an erased rectangle, over the other side
DECODED_AT_ONCE = 1024


@dataclass(frozen=True)
class Augmentation(Technique):
    """Shifts, flips and erases at random.

    Attributes:
        shift: Largest shift in each direction, as a share of height and width; 0 shifts nothing.
        flip: Share of examples that are mirrored left to right; 0 by default, as it would spoil digits and letters.
        erase: Share of examples that lose a rectangle.
        erase_area: Largest area of the rectangle, as a share of the image.
        cache: Keep the training examples decoded on the device; turn it off if they do not fit there.
    """

    shift: float = 0.125
    flip: float = 0.0
    erase: float = 0.25
    erase_area: float = 0.33
    cache: bool = True

    name = "augmentation"
    stage = Stage.BATCH

    def __post_init__(self) -> None:
        for option in ("shift", "flip", "erase"):
            value = getattr(self, option)
            if not 0 <= value <= 1:
                raise TechniqueError(f"augmentation: {option}={value!r}: use a share from 0 to 1")
        if not LEAST_AREA <= self.erase_area <= 1:
            raise TechniqueError(f"augmentation: erase_area={self.erase_area!r}: use a share from {LEAST_AREA} to 1")

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """See `Technique.prepare_data`."""
        if not self.cache or isinstance(data.train, TensorExamples):  # which keep themselves on the device
            return data
        return dataclasses.replace(data, train=_decoded(data.train, run.device))

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """See `Technique.transform_batch`."""
        return dataclasses.replace(batch, inputs=self._augmented(batch.inputs))

    def _augmented(self, inputs: Tensor) -> Tensor:
        """``[n, c, h, w]`` to the same; what is uncovered or erased becomes 0, the mean of standardised inputs."""
        examples, channels, height, width = inputs.shape
        device = inputs.device
        # Always the same draws, whatever the options: changing one leaves the others' outcome alone.
        draws = torch.rand(8, examples, 1, device=device)
        down = _whole(draws[0], -round(self.shift * height), round(self.shift * height))
        right = _whole(draws[1], -round(self.shift * width), round(self.shift * width))
        # From where each row and column of the result comes.
        rows = torch.arange(height, device=device) - down  # [n, h]
        columns = torch.arange(width, device=device)
        columns = torch.where(draws[2] < self.flip, width - 1 - columns, columns) - right  # [n, w]
        shown = _within(rows, 0, height).unsqueeze(2) & _within(columns, 0, width).unsqueeze(1)  # [n, h, w]
        shown &= ~self._erased(draws[3:], height, width)
        source = rows.clamp(0, height - 1).unsqueeze(2) * width + columns.clamp(0, width - 1).unsqueeze(1)
        source = source.view(examples, 1, height * width).expand(-1, channels, -1)
        moved = inputs.flatten(2).gather(2, source).view(inputs.shape)
        return torch.where(shown.unsqueeze(1), moved, 0)

    def _erased(self, draws: Tensor, height: int, width: int) -> Tensor:
        """Where each example is erased ``[n, h, w]``: a rectangle of random area and shape, wholly inside."""
        area = (LEAST_AREA + draws[1] * (self.erase_area - LEAST_AREA)) * height * width
        ratio = ((2 * draws[2] - 1) * math.log(LONGEST_SIDE)).exp()
        tall = (area * ratio).sqrt().round().long().clamp(1, height)
        wide = (area / ratio).sqrt().round().long().clamp(1, width)
        top, left = _whole(draws[3], 0, height - tall), _whole(draws[4], 0, width - wide)
        rows = _within(torch.arange(height, device=draws.device), top, top + tall)
        columns = _within(torch.arange(width, device=draws.device), left, left + wide)
        return rows.unsqueeze(2) & columns.unsqueeze(1) & (draws[0] < self.erase).unsqueeze(2)


def _whole(draw: Tensor, least: int, most: int | Tensor) -> Tensor:
    """Whole numbers from ``least`` to ``most``, both included, each as likely, from draws in [0, 1)."""
    count = most - least + 1
    # float32 may round a draw just below 1 up to ``most`` + 1.
    return least + torch.minimum((draw * count).long(), torch.as_tensor(count - 1, device=draw.device))


def _within(values: Tensor, begin: int | Tensor, end: int | Tensor) -> Tensor:
    return (values >= begin) & (values < end)


def _decoded(examples: Examples, device: torch.device) -> TensorExamples:
    """Every example read once, in slices: no more than the set itself is held."""
    parts = [examples.batch(part, device) for part in torch.split(torch.arange(len(examples)), DECODED_AT_ONCE)]
    inputs, labels = zip(*parts, strict=True)
    return TensorExamples(torch.cat(inputs), torch.cat(labels))
