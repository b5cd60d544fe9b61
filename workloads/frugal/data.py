"""Data sets as tensors in memory: train, validation and, where the set has one, a test part.

The split does not depend on the run's seed, so that runs that differ in their seed are judged on the same examples.
Inputs are standardised with the training part's mean and deviation only: nothing leaks from validation. A set that is
not installed is an error with its remedy, never a synthetic stand-in.
"""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from frugal.errors import ConfigError, DataError

SPLIT_SEED = 20200523
IDX_UNSIGNED_BYTE = 0x08

Bytes = npt.NDArray[np.uint8]


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
class DataSplits:
    """One data set, split.

    Attributes:
        shape: Channels, height and width of an input.
        classes: How many labels there are.
        test: Examples that no decision was based on; None where the set is too small to spare them.
    """

    train: Examples
    validation: Examples
    test: Examples | None
    shape: tuple[int, int, int]
    classes: int


def load_digits(data_dir: Path) -> DataSplits:
    """scikit-learn's bundled 8x8 digits: 1,797 examples, a fifth of each class for validation."""
    from sklearn import datasets  # type: ignore[import-untyped]  # slow to import, and only this set needs it

    bunch = datasets.load_digits()
    images = np.asarray(bunch.images, dtype=np.float32)[:, None]
    labels = np.asarray(bunch.target, dtype=np.int64)
    train, validation = stratified_split(labels, validation_share=0.2)
    return _standardised(images, labels, train, validation, test=None, classes=10)


def load_fashion_mnist(data_dir: Path) -> DataSplits:
    """Fashion-MNIST as Debian installs it: 54,000 examples to train, 6,000 to validate, 10,000 to test."""
    folder = data_dir / "fashion-mnist"
    images, labels = _idx_pair(folder, "train")
    test_images, test_labels = _idx_pair(folder, "t10k")
    train, validation = stratified_split(labels, validation_share=0.1)
    return _standardised(images, labels, train, validation, test=(test_images, test_labels), classes=10)


DATASETS: dict[str, Callable[[Path], DataSplits]] = {
    "digits": load_digits,
    "fashion-mnist": load_fashion_mnist,
}


def load(name: str, data_dir: Path) -> DataSplits:
    """The data set called ``name``.

    Raises:
        ConfigError: There is no such set.
        DataError: It is not installed, or damaged.
    """
    if name not in DATASETS:
        raise ConfigError("data", name, f"use one of {', '.join(DATASETS)}")
    return DATASETS[name](data_dir)


def stratified_split(labels: npt.NDArray[np.int64], validation_share: float) -> tuple[Tensor, Tensor]:
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


def _standardised(
    images: npt.NDArray[np.generic],
    labels: npt.NDArray[np.int64],
    train: Tensor,
    validation: Tensor,
    test: tuple[npt.NDArray[np.generic], npt.NDArray[np.int64]] | None,
    classes: int,
) -> DataSplits:
    inputs = torch.from_numpy(images.astype(np.float32))
    mean, deviation = inputs[train].mean(), inputs[train].std()

    def examples(part: Tensor, part_labels: Tensor) -> TensorExamples:
        return TensorExamples((part - mean) / deviation, part_labels)

    targets = torch.from_numpy(labels)
    channels, height, width = inputs.shape[1:]
    return DataSplits(
        train=examples(inputs[train], targets[train]),
        validation=examples(inputs[validation], targets[validation]),
        test=None
        if test is None
        else examples(torch.from_numpy(test[0].astype(np.float32)), torch.from_numpy(test[1])),
        shape=(channels, height, width),
        classes=classes,
    )


def _idx_pair(folder: Path, part: str) -> tuple[Bytes, npt.NDArray[np.int64]]:
    images = read_idx(folder / f"{part}-images-idx3-ubyte.gz")
    labels = read_idx(folder / f"{part}-labels-idx1-ubyte.gz")
    if len(images) != len(labels):
        raise DataError(f"{folder}: {len(images)} {part} images but {len(labels)} labels; install the data set again")
    return images[:, None], labels.astype(np.int64)


def read_idx(path: Path) -> Bytes:
    """An array of bytes in the IDX format (``http://yann.lecun.com/exdb/mnist``), gzipped.

    Raises:
        DataError: The file is missing or is not what its header says.
    """
    try:
        raw = gzip.decompress(path.read_bytes())
    except FileNotFoundError as error:
        raise DataError(
            f"data file {path} not found: install the Debian package dataset-fashion-mnist "
            "(apt-get install dataset-fashion-mnist), or name the folder that holds fashion-mnist/ with --data-dir"
        ) from error
    except (OSError, EOFError) as error:
        raise DataError(f"data file {path} cannot be read ({error}): install the data set again") from error
    if len(raw) < 4 or raw[:3] != bytes([0, 0, IDX_UNSIGNED_BYTE]):
        raise DataError(f"data file {path} is not an IDX file of bytes: install the data set again")
    header = 4 + 4 * raw[3]
    shape = struct.unpack(f">{raw[3]}I", raw[4:header])
    values = np.frombuffer(raw, dtype=np.uint8, offset=header)
    if values.size != np.prod(shape):
        raise DataError(f"data file {path} holds {values.size} bytes, its header says {shape}: install it again")
    return values.reshape(shape)
