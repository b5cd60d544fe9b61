"""Channels last: another layout in memory, the same training up to rounding."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from frugal.data import DataSplits, TensorExamples
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Evaluation, Stage, Technique
from frugal.techniques.channels_last import ChannelsLast

from ..builders import blobs, config, newest, train, weights
from ..toys import Accumulation, NoDropout
from .resuming import assert_resumes


class _Layouts(Technique):
    """Notes how what enters a convolution lies in memory, in training and evaluation."""

    name = "layouts"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.seen: set[bool] = set()

    def start(self, run: Run) -> None:
        def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            self.seen.add(inputs[0].is_contiguous(memory_format=torch.channels_last))

        for module in run.model.modules():
            if isinstance(module, nn.Conv2d):
                module.register_forward_pre_hook(note)


def _in_colour() -> DataSplits:
    """With a single channel, both layouts would be the same."""
    data = blobs()
    parts = [TensorExamples(p.inputs.repeat(1, 3, 1, 1), p.labels) for p in (data.train, data.validation)]  # type: ignore[attr-defined]
    return dataclasses.replace(data, train=parts[0], validation=parts[1], shape=(3, 4, 4))


def _conv_weights(directory: Path) -> list[Tensor]:
    return [weight for weight in weights(directory).values() if weight.dim() == 4]


def test_weights_and_batches_are_laid_out() -> None:
    for techniques, expected in (([ChannelsLast()], {True}), ([], {False})):
        layouts = _Layouts()
        train(config(model="cnn", epochs=1), [*techniques, layouts], data=_in_colour())
        assert layouts.seen == expected


def test_weights_stay_laid_out_in_checkpoints(tmp_path: Path) -> None:
    result = train(config(tmp_path, model="cnn", epochs=1), [ChannelsLast()])
    assert result.techniques["channels-last"] == {"weights": 3, "channels_last": 3}
    assert [w.is_contiguous(memory_format=torch.channels_last) for w in _conv_weights(tmp_path)] == [True] * 3
    moments = newest(tmp_path)["optimizer"]["state"][2]["exp_avg"]
    assert moments.is_contiguous(memory_format=torch.channels_last)


def test_equals_the_default_layout(tmp_path: Path) -> None:
    plain = train(config(tmp_path / "plain", model="cnn"), [NoDropout()])
    laid = train(config(tmp_path / "laid", model="cnn"), [NoDropout(), ChannelsLast()])
    assert laid.val_loss == pytest.approx(plain.val_loss, rel=1e-4)
    for one, other in zip(weights(tmp_path / "plain").values(), weights(tmp_path / "laid").values(), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-4)


def test_a_model_that_comes_halfway_is_laid_out_too(tmp_path: Path) -> None:
    class Renewed(Technique):
        name = "renewed"
        stage = Stage.WEIGHTS

        def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
            if run.epoch == 0:
                model = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Conv2d(8, 8, 2), nn.Flatten(), nn.Linear(8, 4))
                run.replace_model(model)

    train(config(tmp_path, model="cnn", epochs=2), [Renewed(), ChannelsLast()])
    assert [w.is_contiguous(memory_format=torch.channels_last) for w in _conv_weights(tmp_path)] == [True] * 2


def test_resumes_with_accumulation(tmp_path: Path) -> None:
    assert_resumes(tmp_path, lambda: [ChannelsLast(), Accumulation(parts=2)], step=4, model="cnn", epochs=1)


def test_refuses_a_model_without_convolutions() -> None:
    with pytest.raises(TechniqueError, match=r"'mlp' has no convolutions.*use another --model"):
        train(config(), [ChannelsLast()])
