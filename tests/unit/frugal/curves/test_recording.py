"""The file: what is written comes back, a killed recording is whole up to its last training."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path

import pytest

from frugal.curves import recording
from frugal.errors import DataError
from tests.unit.frugal.curves.builders import curve, small


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "curves.jsonl.gz"
    recording.begin(file, small(), {"processor": "of a test"})
    return file


def test_what_is_written_comes_back(path: Path) -> None:
    """Draw, ranges and columns; losses that are no numbers too."""
    written = curve(3, {"train_loss": [2.5, math.inf, math.nan], "val_loss": [0.1, 0.25, 1e12]})
    recording.append(path, written)
    (back,) = recording.read(path).curves
    assert back.draw == written.draw == recording.read(path).ranges.draw(3)
    assert str(back.columns["train_loss"]) == "[2.5, inf, nan]"
    assert back.columns["val_loss"] == [0.1, 0.25, 1e12]
    assert not back.measured


def test_curves_come_in_the_order_of_their_draws(path: Path) -> None:
    for index in (5, 0, 2):
        recording.append(path, curve(index))
    assert [one.draw.index for one in recording.read(path).curves] == [0, 2, 5]


@pytest.mark.parametrize("lost", [1, 20, 100])
def test_a_training_that_was_not_written_to_its_end_is_left_out(path: Path, lost: int) -> None:
    """And cut off, so that the next one can be added behind the last whole one."""
    recording.append(path, curve(0))
    whole = path.stat().st_size
    recording.append(path, curve(1))
    torn = path.read_bytes()[:-lost]
    path.write_bytes(torn)
    assert [one.draw.index for one in recording.read(path).curves] == [0]
    assert recording.repair(path) == len(torn) - whole
    recording.append(path, curve(2))
    assert [one.draw.index for one in recording.read(path).curves] == [0, 2]


def test_compacting_makes_it_smaller_and_changes_nothing(path: Path) -> None:
    for index in range(8):
        recording.append(path, curve(index))
    before, size = recording.read(path), path.stat().st_size
    recording.compact(path)
    assert recording.read(path) == before
    assert path.stat().st_size < size / 2
    recording.append(path, curve(9))
    assert len(recording.read(path).curves) == 9


def test_any_gzip_and_json_reads_it(path: Path) -> None:
    """Whoever replays curves needs nothing of frugal."""
    recording.append(path, curve(0))
    head, line = gzip.decompress(path.read_bytes()).decode().splitlines()
    assert json.loads(head)["format"] == recording.FORMAT
    assert json.loads(line)["columns"]["step"] == [1, 2, 3, 4]


@pytest.mark.parametrize("content", [b"", b"no gzip", gzip.compress(b'{"format": 99}\n'), gzip.compress(b"text\n")])
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "other"
    file.write_bytes(content)
    with pytest.raises(DataError, match="frugal curves record"):
        recording.read(file)
