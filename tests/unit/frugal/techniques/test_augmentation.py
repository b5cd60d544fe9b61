"""Augmentation on the device: every example is changed by its own draws, and nothing else of the batch is."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor

from frugal import registry
from frugal.data import Examples, TensorExamples
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Batch, Stage, Technique
from frugal.techniques.augmentation import Augmentation

from ..builders import blobs, config, same, train, weights
from ..toys import Smoothing
from .resuming import assert_resumes

EXAMPLES, CHANNELS, HEIGHT, WIDTH = 400, 2, 8, 12


def _augmented(technique: Augmentation, inputs: Tensor) -> Tensor:
    """What becomes of ``inputs``; labels and all else must stay."""
    torch.manual_seed(1)
    count = torch.arange(len(inputs))
    batch = Batch(inputs=inputs, targets=count, labels=count, indices=count, weights=torch.ones(len(inputs)))
    before = inputs.clone()
    after = technique.transform_batch(None, batch)  # type: ignore[arg-type]  # it needs nothing of the run
    assert torch.equal(inputs, before), "the cached examples themselves must not change"
    assert dataclasses.replace(after, inputs=inputs) == batch
    assert (after.inputs.shape, after.inputs.dtype, after.inputs.device) == (inputs.shape, inputs.dtype, inputs.device)
    return after.inputs


def _images(dtype: torch.dtype = torch.float32) -> Tensor:
    """No two pixels alike, and none 0."""
    return torch.arange(1, EXAMPLES * CHANNELS * HEIGHT * WIDTH + 1).view(EXAMPLES, CHANNELS, HEIGHT, WIDTH).to(dtype)


def _shifted(image: Tensor, down: int, right: int) -> Tensor:
    """By slices, as one would write it for one image."""
    result = torch.zeros_like(image)
    height, width = image.shape[1:]
    result[:, max(down, 0) : height + min(down, 0), max(right, 0) : width + min(right, 0)] = image[
        :, max(-down, 0) : height + min(-down, 0), max(-right, 0) : width + min(-right, 0)
    ]
    return result


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_each_example_is_shifted_by_its_own_amount(dtype: torch.dtype) -> None:
    images = _images(dtype)
    moved = _augmented(Augmentation(shift=0.25, erase=0), images)
    seen = []
    for before, after in zip(images, moved, strict=True):
        fits = [(d, r) for d in range(-2, 3) for r in range(-3, 4) if torch.equal(after, _shifted(before, d, r))]
        assert len(fits) == 1
        seen.append(fits[0])
    assert set(seen) == {(d, r) for d in range(-2, 3) for r in range(-3, 4)}  # all of them, among 400


def test_the_asked_share_is_flipped() -> None:
    images = _images()
    moved = _augmented(Augmentation(shift=0, erase=0, flip=0.3), images)
    flipped = (moved == images.flip(3)).flatten(1).all(dim=1)
    assert torch.equal(moved[~flipped], images[~flipped])
    assert 0.2 < flipped.float().mean() < 0.4


def test_the_asked_share_loses_one_rectangle_of_bounded_area() -> None:
    images = _images()
    after = _augmented(Augmentation(shift=0, erase=0.5, erase_area=0.3), images)
    erased = after == 0
    assert torch.equal(after, torch.where(erased, 0, images))
    assert torch.equal(erased[:, 0], erased[:, 1]), "all channels alike"
    hit = erased.flatten(1).any(dim=1)
    assert 0.4 < hit.float().mean() < 0.6
    areas = []
    for mask in erased[hit, 0]:
        rows, columns = mask.any(dim=1), mask.any(dim=0)
        assert torch.equal(mask, rows[:, None] & columns[None, :])
        for line in (rows, columns):
            assert int(line.int().diff().abs().sum()) <= 2, "one piece"
        areas.append(float(mask.float().mean()))
    assert max(areas) < 0.3 + 0.1  # whole pixels
    assert len(set(areas)) > 5


def test_nothing_asked_for_changes_nothing() -> None:
    assert torch.equal(_augmented(Augmentation(shift=0, flip=0, erase=0), _images()), _images())


def test_everything_at_once_stays_within_the_image() -> None:
    moved = _augmented(Augmentation(shift=1, flip=1, erase=1, erase_area=1), _images())
    for before, after in zip(_images(), moved, strict=True):
        assert torch.isin(after[after != 0], before).all()


class _Decoding:
    """A set that makes its examples anew at each reading, and counts that."""

    def __init__(self, inner: Examples) -> None:
        self._inner = inner
        self.reads = torch.zeros(len(inner), dtype=torch.int64)

    def __len__(self) -> int:
        return len(self._inner)

    def batch(self, indices: Tensor, device: torch.device) -> tuple[Tensor, Tensor]:
        self.reads[indices] += 1
        return self._inner.batch(indices, device)

    def subset(self, indices: Tensor) -> Examples:
        return self._inner.subset(indices)


@pytest.mark.parametrize(("cache", "reads"), [(True, 1), (False, 3)])
def test_cached_examples_are_decoded_once(tmp_path: Path, cache: bool, reads: int) -> None:
    data = blobs()
    decoding = _Decoding(data.train)
    train(config(tmp_path / "a"), [Augmentation(cache=cache)], data=dataclasses.replace(data, train=decoding))
    assert set(decoding.reads.tolist()) == {reads}
    train(config(tmp_path / "b"), [Augmentation(cache=cache)], data=data)
    assert same(weights(tmp_path / "a"), weights(tmp_path / "b"))


def test_tensors_are_cached_already() -> None:
    class Kept(Technique):
        name = "kept"
        stage = Stage.CONTROL

        def start(self, run: Run) -> None:
            assert run.data.train is data.train

    data = blobs()
    assert isinstance(data.train, TensorExamples)
    train(config(epochs=1), [Augmentation(), Kept()], data=data)


def test_resumes_with_smoothing(tmp_path: Path) -> None:
    assert_resumes(tmp_path, lambda: [Augmentation(shift=0.25, flip=0.5, erase=0.5), Smoothing()], step=9)


def test_seed_decides_the_draws(tmp_path: Path) -> None:
    def trained(name: str, seed: int) -> dict[str, Tensor]:
        train(config(tmp_path / name, seed=seed, epochs=1), [Augmentation(shift=0.5)])
        return weights(tmp_path / name)

    assert same(trained("a", 1), trained("b", 1))
    assert not same(trained("c", 2), weights(tmp_path / "a"))


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("shift=1.5", r"shift=1\.5: use a share from 0 to 1"),
        ("flip=-1", r"flip=-1\.0: use a share from 0 to 1"),
        ("erase=nan", "erase=nan: use a share from 0 to 1"),
        ("erase_area=0", r"erase_area=0\.0: use a share from 0\.02 to 1"),
    ],
)
def test_refuses_what_is_no_share(spec: str, message: str) -> None:
    with pytest.raises(TechniqueError, match=message):
        registry.create(f"augmentation,{spec}")
