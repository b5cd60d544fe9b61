"""Pruning reaches the sparsity that was asked for, along its schedule, and nothing brings the weights back."""

from __future__ import annotations

import itertools
import logging
from functools import partial

import pytest
import torch
from torch import nn

from frugal import registry
from frugal.config import TrainConfig
from frugal.data import load
from frugal.errors import ConfigError, TechniqueError
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques.pruning import Pruning
from frugal.trainer import Trainer

from ..builders import config, train
from ..toys import Accumulation, HardExamples, NoDropout, Shrink, Smoothing, StopAt
from .watch import Momentum, Watch

_gradual = partial(Pruning, begin=0.1, end=0.6, rounds=5)


@pytest.mark.parametrize(
    ("scope", "optimizers"), [("global", []), ("layer", [Momentum()])], ids=["global-adamw", "layer-momentum"]
)
@pytest.mark.parametrize(
    ("structure", "sparsity"), [("unstructured", 0.8), ("channels", 0.5), ("2:4", 0.5)], ids=lambda value: str(value)
)
def test_what_is_gone_stays_gone(structure: str, sparsity: float, scope: str, optimizers: list[Technique]) -> None:
    watch = Watch()
    pruning = _gradual(structure=structure, sparsity=sparsity, scope=scope)
    result = train(config(lr=0.02), [pruning, *optimizers, watch])
    assert result.techniques["pruning"]["sparsity"] == pytest.approx(sparsity, abs=1e-3)

    zeros = watch.zeros()
    for before, after in itertools.pairwise(zeros):
        assert (after | ~before).all()
    assert not zeros[0].any()
    last_round = next(number for number, progress in enumerate(watch.progress) if progress >= 0.6)
    assert len(zeros) - last_round > 5  # steps in which weights could come back
    assert torch.equal(zeros[last_round], zeros[-1])


@pytest.mark.parametrize("scope", ["global", "layer"])
def test_weights_follow_the_schedule(scope: str) -> None:
    watch, pruning = Watch(), _gradual(sparsity=0.8, scope=scope)
    train(config(), [pruning, watch])
    shares = [zeros.float().mean().item() for zeros in watch.zeros()]
    assert shares == pytest.approx([pruning.sparsity_at(progress) for progress in watch.progress], abs=1e-3)
    assert len({round(share, 3) for share in shares}) == 6


def test_schedule_is_the_cubic_one() -> None:
    pruning = Pruning(sparsity=0.8, begin=0.2, end=0.6, rounds=4)
    halfway, quarter = 0.8 * (1 - 0.5**3), 0.8 * (1 - 0.75**3)
    progress = [0.0, 0.19, 0.2, 0.29, 0.31, 0.39, 0.41, 0.59, 0.6, 1.0]
    wanted = [0.0, 0.0, 0.0, 0.0, quarter, quarter, halfway, 0.8 * (1 - 0.25**3), 0.8, 0.8]
    assert [pruning.sparsity_at(share) for share in progress] == pytest.approx(wanted)


def test_all_at_once_before_training() -> None:
    watch = Watch()
    train(config(epochs=1), [Pruning(sparsity=0.9, begin=0, end=0), watch])
    assert {round(zeros.float().mean().item(), 2) for zeros in watch.zeros()} == {0.9}
    assert torch.equal(watch.zeros()[0], watch.zeros()[-1])


@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_two_of_each_four_inputs_are_zero(model: str) -> None:
    watch = Watch()
    result = train(config(model=model), [_gradual(structure="2:4"), watch])
    assert result.techniques["pruning"]["sparsity"] == 0.5
    groups = 0
    for step, weights in enumerate(watch.weights):
        for name, weight in weights.items():
            if not name.endswith("weight") or weight.shape[1] % 4:  # the first convolution has one input channel
                continue
            outputs, inputs, *kernel = weight.shape
            zeros = (weight == 0).view(outputs, inputs // 4, 4, *kernel).sum(dim=2)
            assert (zeros <= 2).all()
            if step == len(watch.weights) - 1:
                assert (zeros == 2).all()
                groups += zeros.numel()
    assert (
        groups == {"mlp": (16 * 128 + 128 * 64 + 64 * 4) // 4, "cnn": (16 * 32 * 9 + 32 * 64 * 9 + 64 * 4) // 4}[model]
    )


@pytest.mark.parametrize("structure", ["unstructured", "2:4"])
def test_zeros_in_a_dense_model_save_no_bytes_and_no_flops(structure: str) -> None:
    figures = train(config(epochs=1), [Pruning(structure=structure)]).techniques["pruning"]
    for figure in ("parameters", "bytes", "flops"):
        assert figures[f"{figure}_before"] == figures[f"{figure}_after"]
    weights, biases = 16 * 128 + 128 * 64 + 64 * 4, 128 + 64 + 4
    assert figures["nonzero_parameters"] == weights // 2 + biases


def test_accuracy_on_digits_is_within_reach_of_the_dense_model() -> None:
    settings = TrainConfig(epochs=8, lr=1e-2, batch_size=128, device="cpu", threads=1, report_every=1000)
    data = load(settings.data, settings.data_dir)

    def accuracy(*techniques: Technique) -> float:
        result = Trainer(settings, techniques, data=data).train()
        assert result.val_accuracy is not None
        return result.val_accuracy

    dense = accuracy()
    assert dense > 0.97
    for pruning in (Pruning(sparsity=0.75), Pruning(structure="2:4"), Pruning(structure="channels")):
        assert accuracy(pruning) > dense - 0.03


def test_later_techniques_see_no_gradients_of_what_is_gone() -> None:
    class Gradients(Technique):
        name = "gradients"
        stage = Stage.OPTIMIZER
        cleared = 0

        def before_update(self, run: Run) -> None:
            for parameter in run.model.parameters():
                assert parameter.grad is not None
                if parameter.dim() > 1:
                    assert (parameter.grad[parameter == 0] == 0).all()
                    self.cleared += int((parameter == 0).sum())

    gradients = Gradients()
    train(config(), [_gradual(sparsity=0.8), gradients])
    assert gradients.cleared > 0


def test_weights_that_another_technique_puts_in_place_at_the_end_are_pruned_too() -> None:
    class Shifted(Technique):
        name = "shifted"
        stage = Stage.DATA

        def finish(self, run: Run, model: nn.Module) -> nn.Module:
            with torch.no_grad():
                for parameter in model.parameters():
                    parameter.fill_(1.0)
            return model

    figures = train(config(epochs=1), [Pruning(), Shifted()]).techniques["pruning"]
    assert figures["nonzero_parameters"] == (16 * 128 + 128 * 64 + 64 * 4) // 2 + 128 + 64 + 4


def test_training_that_ends_early_says_what_it_reached(caplog: pytest.LogCaptureFixture) -> None:
    stop = StopAt(step=8)
    stop.act = lambda run: run.request_stop("seen enough")
    with caplog.at_level(logging.WARNING):
        result = train(config(), [_gradual(sparsity=0.8), stop])
    reached = result.techniques["pruning"]["sparsity"]
    assert isinstance(reached, float)
    assert 0.3 < reached < 0.7
    assert "instead of 0.8" in caplog.text
    assert "choose a smaller end= than 0.6" in caplog.text


def test_joins_accumulation_and_smoothing() -> None:
    whole, parts = Watch(), Watch()
    pruning = partial(Pruning, sparsity=0.6, begin=0.0, end=0.0)
    train(config(), [pruning(), Smoothing(), NoDropout(), whole])
    train(config(), [pruning(), Smoothing(), NoDropout(), Accumulation(parts=4), parts])
    assert torch.equal(whole.zeros()[-1], parts.zeros()[-1])
    for name, weight in whole.weights[-1].items():
        torch.testing.assert_close(weight, parts.weights[-1][name], rtol=1e-4, atol=1e-5)


def test_epochs_that_leave_examples_out_do_not_cut_the_schedule_short() -> None:
    result = train(config(), [_gradual(sparsity=0.8), HardExamples()])
    assert result.steps == 3 * 4
    assert result.techniques["pruning"]["sparsity"] == pytest.approx(0.8, abs=1e-3)


def test_technique_that_changes_shapes_meanwhile_is_refused() -> None:
    with pytest.raises(TechniqueError, match=r"pruning: layer '\d' is not what it was, another technique.*leave one"):
        train(config(), [Pruning(), Shrink()])


def test_is_found_by_name() -> None:
    assert registry.create("pruning,structure=2:4") == Pruning(structure="2:4")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("structure=rows", r"pruning,structure='rows': use one of unstructured, channels, 2:4"),
        ("scope=local", r"pruning,scope='local': use one of global, layer"),
        ("sparsity=1", r"pruning,sparsity=1.0: use a share between 0 and 1"),
        ("sparsity=nan", r"pruning,sparsity=nan: use a share"),
        ("structure=2:4,sparsity=0.7", r"pruning,sparsity=0.7: structure=2:4 removes exactly half: use 0.5"),
        ("begin=-0.1", r"pruning,begin=-0.1: use a share of the training"),
        ("end=1.1", r"pruning,end=1.1: use a share of the training"),
        ("begin=0.9", r"pruning,begin=0.9: use at most end=0.7"),
        ("rounds=0", r"pruning,rounds=0: use a whole number of at least 1"),
    ],
)
def test_options_that_cannot_work_are_refused(setting: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        registry.create(f"pruning,{setting}")
