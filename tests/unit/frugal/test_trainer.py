"""The trainer learns, repeatably."""

from __future__ import annotations

from pathlib import Path

import pytest

from frugal.config import TrainConfig
from frugal.errors import DataError
from frugal.trainer import Trainer

from .builders import blobs, config, same, train, weights


def test_learns_digits() -> None:
    result = Trainer(TrainConfig(data="digits", model="mlp", epochs=12, threads=1, device="cpu")).train()
    assert result.val_accuracy is not None
    assert result.val_accuracy >= 0.95
    assert (result.steps, result.samples) == (12 * 23, 12 * 1438)


def test_convolutions_learn() -> None:
    result = train(config(model="cnn", epochs=12, lr=0.01))
    assert result.val_accuracy is not None
    assert result.val_accuracy >= 0.9


def test_same_seed_same_weights(tmp_path: Path) -> None:
    for name, seed in (("one", 3), ("two", 3), ("other", 4)):
        train(config(tmp_path / name, seed=seed))
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))
    assert not same(weights(tmp_path / "one"), weights(tmp_path / "other"))


def test_observing_does_not_change_the_weights(tmp_path: Path) -> None:
    train(config(tmp_path / "one"))
    train(config(tmp_path / "two", report_every=1, checkpoint_every=3))
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_best_model_is_kept_and_named(tmp_path: Path) -> None:
    result = train(config(tmp_path))
    assert result.best_step in (7, 14, 21)
    assert (tmp_path / "best.pt").exists()


@pytest.mark.parametrize(("training", "validation"), [(0, 4), (4, 0)])
def test_a_set_with_an_empty_part_is_refused(training: int, validation: int) -> None:
    with pytest.raises(DataError, match=f"{training} examples to train and {validation} to validate: use a set with"):
        train(config(), data=blobs(train=training, validation=validation))


def test_test_part_is_judged_at_the_end() -> None:
    data = blobs()
    with_test = train(config(), data=type(data)(**{**vars(data), "test": data.validation}))
    assert with_test.test_accuracy == with_test.val_accuracy
    assert train(config()).test_accuracy is None


def test_nothing_is_written_without_a_checkpoint_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert train(config(None, checkpoint_every=1)).outcome == "completed"
    assert list(tmp_path.iterdir()) == []
