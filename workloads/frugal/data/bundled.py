"""Sets that come with scikit-learn: nothing to install or to download, small enough for seconds on any machine."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from frugal.data import preparing
from frugal.data.examples import DataSplits
from frugal.data.preparing import Part


def load_digits(data_dir: Path) -> DataSplits:
    """8x8 digits in 17 shades of grey: 1,797 examples, a fifth of each class for validation."""
    from sklearn import datasets  # type: ignore[import-untyped]  # slow to import, and only these sets need it

    bunch = datasets.load_digits()
    part = Part(
        inputs=np.asarray(bunch.images, dtype=np.float32)[:, None], labels=np.asarray(bunch.target, dtype=np.int64)
    )
    return preparing.images(part, white=16.0, classes=10, validation_share=0.2)


def load_breast_cancer(data_dir: Path) -> DataSplits:
    """Benign or malignant by 30 measurements: 569 vectors, a fifth of each class for validation."""
    from sklearn import datasets

    return _vectors(datasets.load_breast_cancer())


def load_wine(data_dir: Path) -> DataSplits:
    """Three cultivars by 13 measurements: 178 vectors, a fifth of each class for validation."""
    from sklearn import datasets

    return _vectors(datasets.load_wine())


def _vectors(bunch: Any) -> DataSplits:
    part = Part(
        inputs=np.asarray(bunch.data, dtype=np.float32)[:, None, None], labels=np.asarray(bunch.target, dtype=np.int64)
    )
    return preparing.vectors(part, classes=len(bunch.target_names), validation_share=0.2)
