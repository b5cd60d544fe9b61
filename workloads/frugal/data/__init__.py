"""Data sets as tensors in memory: train, validation and, where the set has one, a test part.

What must hold: a set that is not installed is an error with its remedy, never a synthetic stand-in, and nothing is
downloaded.
"""

from __future__ import annotations

from pathlib import Path

from frugal import catalog
from frugal.data.bundled import load_digits
from frugal.data.examples import DataSplits, Examples, PixelScale, TensorExamples
from frugal.data.idx import read_idx
from frugal.data.installed import load_fashion_mnist
from frugal.data.preparing import stratified_split
from frugal.errors import ConfigError

__all__ = [
    "DataSplits",
    "Examples",
    "PixelScale",
    "TensorExamples",
    "load",
    "load_digits",
    "load_fashion_mnist",
    "read_idx",
    "stratified_split",
]


def load(name: str, data_dir: Path) -> DataSplits:
    """The data set called ``name``.

    Raises:
        ConfigError: There is no such set.
        DataError: It is not installed, or damaged.
    """
    splits: DataSplits
    family, colon, rest = name.partition(":")
    if colon and family in catalog.DATA_FAMILIES:
        splits = catalog.resolve(catalog.DATA_FAMILIES[family][1])(rest, data_dir)
    elif name in catalog.DATASETS:
        splits = catalog.resolve(catalog.DATASETS[name])(data_dir)
    else:
        raise ConfigError("data", name, f"use one of {', '.join(catalog.data_names())}")
    return splits
