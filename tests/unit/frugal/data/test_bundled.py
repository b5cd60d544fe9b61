"""scikit-learn's vectors: split, each feature standardised by the training part alone, and learnable by an mlp."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from frugal import data
from frugal.data import TensorExamples
from frugal.data.preparing import Part, images, vectors

from ..builders import config, train


@pytest.mark.parametrize(
    ("name", "sizes", "features", "classes"), [("breast-cancer", (456, 113), 30, 2), ("wine", (142, 36), 13, 3)]
)
def test_vectors(name: str, sizes: tuple[int, int], features: int, classes: int) -> None:
    splits = data.load(name, Path("/nowhere"))
    assert (len(splits.train), len(splits.validation)) == sizes
    assert (splits.shape, splits.classes, splits.pixels) == ((1, 1, features), classes, None)
    assert isinstance(splits.train, TensorExamples)
    for figures, expected in ((splits.train.inputs.mean(dim=0), 0.0), (splits.train.inputs.std(dim=0), 1.0)):
        torch.testing.assert_close(figures, torch.full_like(figures, expected), atol=1e-5, rtol=0)
    result = train(config(data=name, epochs=8), data=splits)
    assert result.val_accuracy is not None
    assert result.val_accuracy > 0.9


def test_digits_know_their_pixels() -> None:
    splits = data.load("digits", Path("/nowhere"))
    assert splits.pixels is not None
    assert isinstance(splits.train, TensorExamples)
    shades = splits.train.inputs * splits.pixels.deviation[0] + splits.pixels.mean[0]
    torch.testing.assert_close(shades, shades.round(), atol=1e-4, rtol=0)
    assert (round(shades.min().item()), round(shades.max().item())) == (0, splits.pixels.white)


def test_channels_are_standardised_one_by_one() -> None:
    dark_and_bright = np.random.default_rng(0).integers(0, 50, (40, 2, 3, 3)) + np.array([0, 200])[:, None, None]
    part = Part(inputs=dark_and_bright.astype(np.uint8), labels=np.arange(40) % 4)
    splits = images(part, white=255, classes=4, validation_share=0.2)
    assert isinstance(splits.train, TensorExamples)
    assert splits.train.inputs.mean(dim=(0, 2, 3)).tolist() == pytest.approx([0, 0], abs=1e-5)
    assert splits.pixels is not None
    assert splits.pixels.mean[0] < 50 < 200 < splits.pixels.mean[1]


def test_a_feature_that_never_varies_does_no_harm() -> None:
    part = Part(inputs=np.full((10, 1, 1, 2), 7.0), labels=np.arange(10) % 2)
    splits = vectors(part, classes=2, validation_share=0.2)
    assert isinstance(splits.train, TensorExamples)
    assert splits.train.inputs.eq(0).all()
