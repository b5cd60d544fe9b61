"""Data sets of images that the user saved with Hugging Face's ``datasets``: ``--data huggingface:FOLDER``.

FOLDER, below ``--data-dir`` or absolute, is what ``DatasetDict.save_to_disk`` wrote. Nothing is ever downloaded. The
part ``train`` must be there, and a tenth of it validates; ``test`` is kept aside; other parts are not read.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from frugal.data import preparing
from frugal.data.examples import DataSplits
from frugal.data.preparing import Part
from frugal.errors import DataError


def load_saved(folder: str, data_dir: Path) -> DataSplits:
    """The saved set in ``folder``: one column of images, all of one size, and one of class labels.

    Raises:
        DataError: It is not there, is no set of images with labels, or the library is not installed.
    """
    try:
        library: Any = importlib.import_module("datasets")
    except ImportError as error:
        raise DataError(
            f"--data huggingface:{folder} needs Hugging Face's datasets library: pip install datasets"
        ) from error
    path = data_dir / folder
    try:
        saved = library.load_from_disk(str(path))
    except (OSError, ValueError) as error:
        raise DataError(
            f"no saved data set in {path} ({error}): name a folder, absolute or below --data-dir, that "
            "DatasetDict.save_to_disk wrote"
        ) from error
    if not isinstance(saved, Mapping) or "train" not in saved:
        raise DataError(f"{path} has no part called train: save a DatasetDict with train and, if there is one, test")
    train, classes = _part(saved["train"], path)
    test = _part(saved["test"], path)[0] if "test" in saved else None
    return preparing.images(train, white=255.0, classes=classes, validation_share=0.1, test=test)


def _part(rows: Any, path: Path) -> tuple[Part, int]:
    """All examples of a part, and how many classes there are."""
    kinds = {name: type(feature).__name__ for name, feature in rows.features.items()}
    columns = [[name for name, kind in kinds.items() if kind == wanted] for wanted in ("Image", "ClassLabel")]
    if [len(names) for names in columns] != [1, 1]:
        raise DataError(f"{path}: use a set with one Image and one ClassLabel column; it has {kinds}")
    (image,), (label,) = columns
    pixels = [np.asarray(picture.convert("L" if picture.mode in ("1", "L") else "RGB")) for picture in rows[image]]
    shapes = {array.shape for array in pixels}
    if len(shapes) != 1:
        raise DataError(f"{path}: images must be of one size and all grey or all in colour, they are {sorted(shapes)}")
    labels = np.asarray(rows[label], dtype=np.int64)
    if labels.min() < 0:
        raise DataError(f"{path}: some examples have no label (-1 in column {label!r}): save the set without them")
    stacked = np.stack(pixels)
    inputs = stacked[:, None] if stacked.ndim == 3 else stacked.transpose(0, 3, 1, 2)
    return Part(inputs=inputs, labels=labels), int(rows.features[label].num_classes)
