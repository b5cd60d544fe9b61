"""A checkpoint of another run is refused, with the difference in words."""

from __future__ import annotations

from pathlib import Path

import pytest

from frugal.errors import CheckpointError

from .builders import config, train
from .toys import Accumulation, Smoothing


def test_other_settings(tmp_path: Path) -> None:
    train(config(tmp_path))
    with pytest.raises(CheckpointError, match=r"lr was 0.002, is 0.1.*fresh --checkpoint-dir, or --no-resume"):
        train(config(tmp_path, lr=0.1))


def test_other_techniques(tmp_path: Path) -> None:
    train(config(tmp_path), [Smoothing()])
    with pytest.raises(CheckpointError, match=r"made with techniques smoothing,epsilon=0.1, this run has \(none\)"):
        train(config(tmp_path))


def test_other_options(tmp_path: Path) -> None:
    train(config(tmp_path), [Accumulation(parts=2)])
    with pytest.raises(CheckpointError, match=r"accumulation,parts=2, this run has accumulation,parts=4"):
        train(config(tmp_path), [Accumulation(parts=4)])


def test_what_does_not_change_the_weights_may_change(tmp_path: Path) -> None:
    train(config(tmp_path))
    assert train(config(tmp_path, checkpoint_every=9, report_every=9)).resumed_from_step == 21
