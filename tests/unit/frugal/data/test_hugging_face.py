"""Saved Hugging Face sets, read through a stand-in of the library's few calls that are used."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image as Pictures

from frugal import data
from frugal.errors import DataError


class Image:
    """As the library's feature type is called."""


class ClassLabel:
    """As the library's feature type is called."""

    num_classes = 3


class Rows(dict[str, list[Any]]):
    """Columns by name, and their features."""

    def __init__(self, features: dict[str, Any], **columns: list[Any]) -> None:
        super().__init__(columns)
        self.features = features


def _rows(count: int, mode: str = "RGB", **changes: list[Any]) -> Rows:
    shape = (4, 5, 3) if mode == "RGB" else (4, 5)
    pixels = [Pictures.fromarray(np.full(shape, 10 * number, dtype=np.uint8)) for number in range(count)]
    columns: dict[str, list[Any]] = {"picture": pixels, "kind": [number % 3 for number in range(count)]}
    return Rows({"picture": Image(), "kind": ClassLabel()}, **(columns | changes))


def _install(monkeypatch: pytest.MonkeyPatch, saved: object) -> list[str]:
    asked: list[str] = []

    def load_from_disk(path: str) -> object:
        asked.append(path)
        if isinstance(saved, Exception):
            raise saved
        return saved

    monkeypatch.setitem(sys.modules, "datasets", SimpleNamespace(load_from_disk=load_from_disk))
    return asked


@pytest.mark.parametrize(("mode", "channels"), [("RGB", 3), ("L", 1)])
def test_a_saved_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, mode: str, channels: int) -> None:
    asked = _install(monkeypatch, {"train": _rows(21, mode), "test": _rows(6, mode)})
    splits = data.load("huggingface:pets", tmp_path)
    assert asked == [str(tmp_path / "pets")]
    assert splits.test is not None
    assert (len(splits.train), len(splits.validation), len(splits.test)) == (18, 3, 6)
    assert (splits.shape, splits.classes, splits.synthetic) == ((channels, 4, 5), 3, False)


@pytest.mark.parametrize(
    ("saved", "message"),
    [
        (FileNotFoundError("nothing here"), r"no saved data set in .*pets.*save_to_disk"),
        (SimpleNamespace(), "no part called train"),
        ({"test": _rows(3)}, "no part called train"),
        ({"train": Rows({"text": object()}, text=["a"])}, r"one Image and one ClassLabel column; it has \{'text'"),
        ({"train": _rows(3, picture=[Pictures.new("L", (size, 4)) for size in (4, 5, 4)])}, "of one size"),
        ({"train": _rows(3, kind=[0, 1, -1])}, "have no label"),
    ],
)
def test_what_cannot_be_used_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, saved: object, message: str
) -> None:
    _install(monkeypatch, saved)
    with pytest.raises(DataError, match=message):
        data.load("huggingface:pets", tmp_path)


def test_without_the_library_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)  # how Python marks what is missing
    assert not isinstance(sys.modules["datasets"], ModuleType)
    with pytest.raises(DataError, match=r"huggingface:pets needs .*pip install datasets"):
        data.load("huggingface:pets", tmp_path)
