"""Data sets are split, standardised and complete, or refused."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest
import torch

from frugal import data
from frugal.data import TensorExamples
from frugal.errors import ConfigError, DataError


def _write_idx(path: Path, values: np.ndarray[tuple[int, ...], np.dtype[np.uint8]]) -> None:
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f">{values.ndim}I", *values.shape)
    path.write_bytes(gzip.compress(header + values.tobytes()))


def _fashion(tmp_path: Path, train: int = 100, test: int = 20) -> Path:
    folder = tmp_path / "fashion-mnist"
    folder.mkdir()
    random = np.random.default_rng(0)
    for part, count in (("train", train), ("t10k", test)):
        _write_idx(folder / f"{part}-images-idx3-ubyte.gz", random.integers(0, 256, (count, 28, 28), dtype=np.uint8))
        _write_idx(folder / f"{part}-labels-idx1-ubyte.gz", (np.arange(count) % 10).astype(np.uint8))
    return tmp_path


def _tensors(examples: data.Examples) -> TensorExamples:
    assert isinstance(examples, TensorExamples)
    return examples


def test_split_is_stratified_disjoint_and_complete() -> None:
    labels = np.repeat(np.arange(3), [100, 50, 10])
    train, validation = data.stratified_split(labels, validation_share=0.2)
    assert torch.bincount(torch.from_numpy(labels)[validation]).tolist() == [20, 10, 2]
    assert torch.cat([train, validation]).sort().values.tolist() == list(range(160))


def test_split_is_always_the_same() -> None:
    labels = np.arange(100) % 10
    torch.manual_seed(1)
    first = data.stratified_split(labels, 0.2)
    torch.manual_seed(2)
    assert torch.equal(first[1], data.stratified_split(labels, 0.2)[1])


def test_digits() -> None:
    splits = data.load("digits", Path("/nowhere"))
    assert (len(splits.train), len(splits.validation)) == (1438, 359)
    assert (splits.shape, splits.classes, splits.test) == ((1, 8, 8), 10, None)
    inputs = _tensors(splits.train).inputs
    assert inputs.mean().item() == pytest.approx(0, abs=1e-4)
    assert inputs.std().item() == pytest.approx(1, abs=1e-4)


def test_fashion_mnist_keeps_its_test_part_aside(tmp_path: Path) -> None:
    splits = data.load("fashion-mnist", _fashion(tmp_path))
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (90, 10, 20)
    assert splits.shape == (1, 28, 28)
    # Only the training part is exactly standard: the others were scaled with its figures.
    assert _tensors(splits.train).inputs.mean().item() == pytest.approx(0, abs=1e-5)
    assert abs(_tensors(splits.test).inputs.mean().item()) > 1e-5


def test_missing_set_says_what_to_install(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"fashion-mnist/train-images.*apt-get install dataset-fashion-mnist.*--data-dir"
    ):
        data.load("fashion-mnist", tmp_path)


def test_unknown_set_lists_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data='imagenet': use one of digits, fashion-mnist"):
        data.load("imagenet", tmp_path)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"not gzip", "cannot be read"),
        (gzip.compress(b"long enough")[:-9], "cannot be read"),
        (gzip.compress(b"no header here"), "not an IDX file"),
        (gzip.compress(bytes([0, 0, 8, 1, 0, 0, 0, 9]) + b"short"), "holds 5 bytes"),
    ],
)
def test_damaged_file_is_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "x.gz"
    path.write_bytes(content)
    with pytest.raises(DataError, match=complaint):
        data.read_idx(path)


def test_images_without_their_labels_are_refused(tmp_path: Path) -> None:
    folder = _fashion(tmp_path) / "fashion-mnist"
    _write_idx(folder / "train-labels-idx1-ubyte.gz", np.zeros(99, dtype=np.uint8))
    with pytest.raises(DataError, match="100 train images but 99 labels"):
        data.load("fashion-mnist", tmp_path)


def test_subset_renumbers() -> None:
    examples = TensorExamples(torch.arange(10.0)[:, None], torch.arange(10))
    chosen = examples.subset(torch.tensor([7, 3]))
    assert chosen.batch(torch.tensor([1]), torch.device("cpu"))[1].tolist() == [3]
