"""RandAugment changes images within black and white, group by group, and nothing else; it resumes exactly."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from frugal import registry
from frugal.data import DataSplits, PixelScale, load, load_digits
from frugal.errors import TechniqueError
from frugal.technique import Batch
from frugal.techniques.randaugment import RandAugment, from_bytes, to_bytes

from ..builders import blobs, config, train
from ..toys import Smoothing
from .resuming import assert_resumes

SCALE = PixelScale(mean=(100.0, 120.0, 90.0), deviation=(50.0, 60.0, 40.0), white=255.0)
GREY = PixelScale(mean=(5.0,), deviation=(6.0,), white=16.0)


def _bytes(count: int, channels: int = 3, side: int = 12) -> Tensor:
    return torch.randint(0, 256, (count, channels, side, side), generator=torch.Generator().manual_seed(3)).byte()


def _shape(inputs: Tensor) -> tuple[int, int, int]:
    _, channels, height, width = inputs.shape
    return channels, height, width


def _augmented(technique: RandAugment, inputs: Tensor, scale: PixelScale = SCALE) -> Tensor:
    """What becomes of ``inputs``; labels and all else must stay."""
    torch.manual_seed(1)
    data = dataclasses.replace(blobs(), shape=_shape(inputs), pixels=scale)
    run: Any = SimpleNamespace(data=data, config=config())
    technique.prepare_data(run, data)
    count = torch.arange(len(inputs))
    batch = Batch(inputs=inputs, targets=count, labels=count, indices=count, weights=torch.ones(len(inputs)))
    before = inputs.clone()
    after = technique.transform_batch(run, batch)
    assert torch.equal(inputs, before), "the cached examples themselves must not change"
    assert dataclasses.replace(after, inputs=inputs) == batch
    assert (after.inputs.shape, after.inputs.dtype) == (inputs.shape, inputs.dtype)
    return after.inputs


@pytest.mark.parametrize("scale", [SCALE, GREY])
def test_bytes_and_back_is_the_same_image(scale: PixelScale) -> None:
    pixels = _bytes(20, len(scale.mean))
    inputs = from_bytes(pixels, scale, torch.float32)
    assert torch.equal(to_bytes(inputs, scale), pixels)


def test_inputs_become_the_pixels_that_they_were() -> None:
    digits = load_digits(Path("/nowhere"))
    assert digits.pixels is not None
    inputs, _ = digits.train.batch(torch.arange(50), torch.device("cpu"))
    pixels = to_bytes(inputs, digits.pixels)
    assert (int(pixels.min()), int(pixels.max())) == (0, 255)
    assert len(set(pixels.flatten().tolist())) == 17, "scikit-learn's digits have 17 shades"
    assert (from_bytes(pixels, digits.pixels, inputs.dtype) - inputs).abs().max() < 0.5 / 255 * 16 / 4


@pytest.mark.parametrize(("scale", "channels"), [(SCALE, 3), (GREY, 1)])
@pytest.mark.parametrize("magnitude", [0, 9, 30])
def test_pixels_stay_within_black_and_white(scale: PixelScale, channels: int, magnitude: int) -> None:
    inputs = from_bytes(_bytes(64, channels), scale, torch.float32)
    after = _augmented(RandAugment(operations=3, magnitude=magnitude, groups=64), inputs, scale)
    mean, deviation = (torch.tensor(figure)[:, None, None] for figure in (scale.mean, scale.deviation))
    pixels = after * deviation + mean
    assert pixels.min() >= -1e-3
    assert pixels.max() <= scale.white + 1e-3
    assert not torch.equal(after, inputs)


@pytest.mark.parametrize("groups", [1, 4, 100])
def test_each_group_has_operations_of_its_own(groups: int) -> None:
    """Of the same image throughout, results differ between groups only."""
    image = from_bytes(_bytes(1), SCALE, torch.float32)
    after = _augmented(RandAugment(groups=groups), image.expand(16, -1, -1, -1).contiguous())
    parts = after.chunk(groups)
    assert all(torch.equal(example, part[0]) for part in parts for example in part)
    different = len({tuple(example.flatten().tolist()) for example in after})
    assert different == 1 if groups == 1 else 1 < different <= len(parts)


def test_more_magnitude_changes_more() -> None:
    inputs = from_bytes(_bytes(200), SCALE, torch.float32)
    changes = [(_augmented(RandAugment(1, magnitude, 200), inputs) - inputs).abs().mean() for magnitude in (2, 28)]
    assert changes[1] > 1.3 * changes[0]


def test_resumes_with_smoothing(tmp_path: Path) -> None:
    digits = load_digits(Path("/nowhere"))
    small = dataclasses.replace(digits, train=digits.train.subset(torch.arange(101)))
    assert_resumes(tmp_path, lambda: [RandAugment(groups=3), Smoothing()], step=9, data=small)


def _vectors() -> DataSplits:
    return load("wine", Path("/nowhere"))


def _two_channels() -> DataSplits:
    return dataclasses.replace(blobs(), shape=(2, 4, 4), pixels=GREY)


@pytest.mark.parametrize("data", [blobs, _vectors, _two_channels])
def test_what_is_not_known_to_be_images_is_refused(data: Any) -> None:
    with pytest.raises(TechniqueError, match="not known to be images of 1 or 3 channels"):
        train(config(), [RandAugment()], data=data())


@pytest.mark.parametrize("option", ["operations=0", "magnitude=31", "magnitude=-1", "groups=0"])
def test_options_out_of_range_are_refused(option: str) -> None:
    with pytest.raises(TechniqueError, match=option):
        registry.create(f"randaugment,{option}")
