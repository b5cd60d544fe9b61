"""From arrays to `DataSplits`: split alike for every seed, standardised without a look at what is held out.

The split does not depend on the run's seed, so that runs that differ in their seed are judged on the same examples.
Inputs are standardised with the training part's mean and deviation only: nothing leaks from validation or test.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frugal.data.examples import DataSplits, PixelScale, TensorExamples

SPLIT_SEED = 20200523

Array = npt.NDArray[np.generic]
Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Part:
    """Raw examples: images ``[n, c, h, w]`` of pixels from 0, or vectors ``[n, 1, 1, d]``, and labels ``[n]``."""

    inputs: Array
    labels: Labels


def stratified_split(labels: Labels, validation_share: float) -> tuple[Tensor, Tensor]:
    """Example numbers for training and validation, each class split by the same share."""
    generator = torch.Generator().manual_seed(SPLIT_SEED)
    train, validation = [], []
    for label in np.unique(labels):
        members = torch.from_numpy(np.flatnonzero(labels == label))
        members = members[torch.randperm(len(members), generator=generator)]
        held_out = round(len(members) * validation_share)
        validation.append(members[:held_out])
        train.append(members[held_out:])
    return torch.cat(train).sort().values, torch.cat(validation).sort().values


def images(part: Part, *, white: float, classes: int, validation_share: float, test: Part | None = None) -> DataSplits:
    """A set of images, each channel standardised by itself.

    Args:
        part: What is split into training and validation.
        white: The brightest value that a pixel can have.
        classes: How many labels there are.
        validation_share: Of each class in ``part``.
        test: Examples that are kept aside.
    """

    def by_channel(inputs: Tensor) -> tuple[Tensor, Tensor]:
        channels = inputs.unbind(dim=1)
        figures = ([channel.mean() for channel in channels], [channel.std() for channel in channels])
        mean, deviation = (torch.stack(figure)[:, None, None] for figure in figures)
        return mean, deviation

    splits, mean, deviation = _standardised(part, test, classes, validation_share, by_channel)
    scale = PixelScale(mean=tuple(mean.flatten().tolist()), deviation=tuple(deviation.flatten().tolist()), white=white)
    return dataclasses.replace(splits, pixels=scale)


def vectors(part: Part, *, classes: int, validation_share: float) -> DataSplits:
    """A set of vectors ``[n, 1, 1, d]``, each of the d features standardised by itself."""

    def by_feature(inputs: Tensor) -> tuple[Tensor, Tensor]:
        return inputs.mean(dim=0), inputs.std(dim=0)

    splits, _, _ = _standardised(part, None, classes, validation_share, by_feature)
    return splits


def _standardised(
    part: Part,
    test: Part | None,
    classes: int,
    validation_share: float,
    figures: Callable[[Tensor], tuple[Tensor, Tensor]],
) -> tuple[DataSplits, Tensor, Tensor]:
    inputs, labels = torch.from_numpy(part.inputs.astype(np.float32)), torch.from_numpy(part.labels)
    train, validation = stratified_split(part.labels, validation_share)
    mean, deviation = figures(inputs[train])
    deviation = torch.where(deviation > 0, deviation, 1.0)  # what never varies says nothing, at any scale

    def examples(values: Tensor, values_labels: Tensor) -> TensorExamples:
        # In place: a set may fill much of the memory.
        return TensorExamples(values.sub_(mean).div_(deviation), values_labels)

    channels, height, width = inputs.shape[1:]
    splits = DataSplits(
        train=examples(inputs[train], labels[train]),
        validation=examples(inputs[validation], labels[validation]),
        test=None
        if test is None
        else examples(torch.from_numpy(test.inputs.astype(np.float32)), torch.from_numpy(test.labels)),
        shape=(channels, height, width),
        classes=classes,
    )
    return splits, mean, deviation
