"""A reader of checkpoints finds a whole one, or none."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from frugal.checkpoint import CheckpointStore, decode, encode, find_damage
from frugal.errors import CheckpointError

from .builders import same

SNAPSHOT = {"model": {"weight": torch.arange(64.0)}, "step": 3}


def _step(store: CheckpointStore) -> object:
    payload = store.latest()
    return None if payload is None else decode(payload)["step"]


def test_empty_directory_has_none(tmp_path: Path) -> None:
    assert CheckpointStore(tmp_path / "new").latest() is None


def test_newest_two_and_the_best_are_kept(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save_best({"step": 5})
    for step in (5, 10, 1000):
        store.save(step, {"step": step})
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint-000000010.pt",
        "checkpoint-000001000.pt",
        "best.pt",
    }
    assert _step(store) == 1000


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_damaged_newest_falls_back_with_a_warning(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = CheckpointStore(tmp_path)
    store.save(1, SNAPSHOT | {"step": 1})
    newest = store.save(2, SNAPSHOT | {"step": 2})
    whole = newest.read_bytes()
    flipped = bytearray(whole)
    flipped[whole.index(torch.arange(64.0).numpy().tobytes()) + 9] ^= 1
    newest.write_bytes({"truncated": whole[:-40], "flipped": bytes(flipped), "empty": b""}[damage])

    with caplog.at_level(logging.WARNING):
        assert _step(store) == 1
    assert "checkpoint-000000002.pt is damaged" in caplog.text
    store.save(3, SNAPSHOT | {"step": 3})
    assert {path.name for path in tmp_path.glob("*.pt")} == {"checkpoint-000000001.pt", "checkpoint-000000003.pt"}


def test_all_damaged_is_as_none(tmp_path: Path) -> None:
    store = CheckpointStore(tmp_path)
    store.save(1, SNAPSHOT).write_bytes(b"PK")
    assert store.latest() is None


@settings(max_examples=150, deadline=None)
@given(position=st.integers(min_value=0), bit=st.integers(0, 7))
def test_no_flipped_bit_goes_unnoticed_and_does_harm(position: int, bit: int) -> None:
    payload = bytearray(encode(SNAPSHOT))
    payload[position % len(payload)] ^= 1 << bit
    assert find_damage(bytes(payload)) is not None or same(decode(bytes(payload)), SNAPSHOT)


def test_failed_write_leaves_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = CheckpointStore(tmp_path)
    store.save(1, {"step": 1})

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(CheckpointError, match=r"No space left.*free some space"):
        store.save(2, {"step": 2})
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-000000001.pt"]


def test_code_in_a_checkpoint_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)  # type: ignore[return-value]

    store = CheckpointStore(tmp_path)
    store.save(1, {"step": 1, "trap": Trap()})
    assert store.latest() is None
    assert not (tmp_path / "sprung").exists()


def test_directory_that_cannot_be_written_names_the_remedy(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(CheckpointError, match=r"checkpoint_dir=.*file/x.*mount a volume"):
        CheckpointStore(tmp_path / "file" / "x")
