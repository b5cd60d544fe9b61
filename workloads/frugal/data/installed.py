"""Sets that the user has on disk below ``--data-dir``: as Debian installs them, or in torchvision's own layout.

Nothing is ever downloaded: a set that is missing is an error that says where it was looked for and how to get it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from frugal.data import idx, preparing
from frugal.data.examples import DataSplits
from frugal.data.preparing import Part
from frugal.errors import DataError


def load_fashion_mnist(data_dir: Path) -> DataSplits:
    """Fashion-MNIST, Debian's or torchvision's: 54,000 examples to train, 6,000 to validate, 10,000 to test."""
    folder = data_dir / "fashion-mnist"
    if not folder.exists() and (data_dir / "FashionMNIST").exists():
        return _from_torchvision("FashionMNIST", data_dir)
    part, test = (idx.read_pair(folder, name) for name in ("train", "t10k"))
    return _images(part, test, classes=10)


def load_mnist(data_dir: Path) -> DataSplits:
    """MNIST's digits, 28x28: 54,000 examples to train, 6,000 to validate, 10,000 to test."""
    return _from_torchvision("MNIST", data_dir)


def load_cifar10(data_dir: Path) -> DataSplits:
    """CIFAR-10, 32x32 in colour: 45,000 examples to train, 5,000 to validate, 10,000 to test."""
    return _from_torchvision("CIFAR10", data_dir)


def load_cifar100(data_dir: Path) -> DataSplits:
    """CIFAR-100: as CIFAR-10, with a hundred classes."""
    return _from_torchvision("CIFAR100", data_dir)


def _from_torchvision(name: str, data_dir: Path) -> DataSplits:
    from torchvision import datasets  # type: ignore[import-untyped]  # a second to import, and only these sets need it

    try:
        parts = [getattr(datasets, name)(data_dir, train=train, download=False) for train in (True, False)]
    except (RuntimeError, OSError) as error:
        raise DataError(
            f"data set {name} is not in {data_dir}, or damaged ({error}): name the folder that holds it in "
            f"torchvision's layout with --data-dir, or get it with torchvision.datasets.{name}(FOLDER, download=True)"
        ) from error
    train, test = map(_part, parts)
    return _images(train, test, classes=len(parts[0].classes))


def _part(stored: Any) -> Part:
    pixels, labels = np.asarray(stored.data), np.asarray(stored.targets, dtype=np.int64)
    # [n, h, w] of grey or [n, h, w, 3] of colours
    return Part(inputs=pixels[:, None] if pixels.ndim == 3 else pixels.transpose(0, 3, 1, 2), labels=labels)


def _images(part: Part, test: Part, classes: int) -> DataSplits:
    return preparing.images(part, white=255.0, classes=classes, validation_share=0.1, test=test)
