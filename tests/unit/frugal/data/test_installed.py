"""Sets in torchvision's layout are read from disk, and nothing is ever downloaded."""

from __future__ import annotations

import hashlib
import pickle
import struct
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torchvision import datasets  # type: ignore[import-untyped]

from frugal import data
from frugal.data import TensorExamples
from frugal.errors import DataError


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a download was tried")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def _mnist(folder: Path) -> None:
    """IDX files, not zipped, as torchvision unpacks them."""
    raw = folder / "raw"
    raw.mkdir(parents=True)
    random = np.random.default_rng(0)
    for part, count in (("train", 100), ("t10k", 20)):
        pixels = random.integers(0, 256, (count, 28, 28), dtype=np.uint8)
        (raw / f"{part}-images-idx3-ubyte").write_bytes(
            bytes([0, 0, 8, 3]) + struct.pack(">3I", *pixels.shape) + pixels.tobytes()
        )
        labels = (np.arange(count) % 10).astype(np.uint8)
        (raw / f"{part}-labels-idx1-ubyte").write_bytes(
            bytes([0, 0, 8, 1]) + struct.pack(">I", count) + labels.tobytes()
        )


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashion-mnist", "FashionMNIST")])
def test_grey_images(tmp_path: Path, name: str, folder: str) -> None:
    _mnist(tmp_path / folder)
    splits = data.load(name, tmp_path)
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (90, 10, 20)
    assert (splits.shape, splits.classes) == ((1, 28, 28), 10)
    assert splits.pixels is not None
    assert splits.pixels.white == 255


def test_colours_stay_in_their_channels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file as CIFAR-10 has them: each row is all of red, then green, then blue."""
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()

    def written(name: str, content: dict[str, Any]) -> list[str]:
        raw = pickle.dumps(content)
        (folder / name).write_bytes(raw)
        return [name, hashlib.md5(raw).hexdigest()]  # noqa: S324  # what torchvision checks

    planes = np.repeat(np.array([10, 100, 200], dtype=np.uint8), 1024)
    rows = np.tile(planes, (20, 1)) + np.arange(20, dtype=np.uint8)[:, None]
    content = {"data": rows, "labels": [number % 10 for number in range(20)]}
    monkeypatch.setattr(datasets.CIFAR10, "train_list", [written("data_batch_1", content)])
    monkeypatch.setattr(datasets.CIFAR10, "test_list", [written("test_batch", content)])
    name, md5 = written("batches.meta", {"label_names": [str(number) for number in range(10)]})
    monkeypatch.setattr(datasets.CIFAR10, "meta", {"filename": name, "key": "label_names", "md5": md5})

    splits = data.load("cifar10", tmp_path)
    assert (splits.shape, splits.classes) == ((3, 32, 32), 10)
    assert isinstance(splits.test, TensorExamples)
    assert splits.pixels is not None
    mean, deviation = (torch.tensor(f)[:, None, None] for f in (splits.pixels.mean, splits.pixels.deviation))
    first = (splits.test.inputs[3] * deviation + mean)[:, 5, 7]
    assert first.tolist() == pytest.approx([13, 103, 203], abs=1e-3)
    assert splits.test.labels.tolist() == content["labels"]


@pytest.mark.parametrize(("name", "library"), [("mnist", "MNIST"), ("cifar10", "CIFAR10"), ("cifar100", "CIFAR100")])
def test_a_missing_set_says_where_and_how(tmp_path: Path, name: str, library: str) -> None:
    with pytest.raises(DataError) as caught:
        data.load(name, tmp_path)
    message = str(caught.value)
    for part in (str(tmp_path), "--data-dir", f"torchvision.datasets.{library}(FOLDER, download=True)"):
        assert part in message
