"""Accumulated gradients are the large batch's: exactly where nothing is rounded, else to rounding."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from frugal import registry
from frugal.config import TrainConfig
from frugal.data import DataSplits, TensorExamples
from frugal.distributed import World
from frugal.errors import ConfigError, TechniqueError
from frugal.run import Run
from frugal.technique import Batch, Claim, Optimization, Stage, Technique
from frugal.techniques.accumulation import Accumulation
from frugal.techniques.amp import Amp

from ..builders import blobs, config, same, train, weights
from ..toys import HardExamples, NoDropout, Smoothing
from .resuming import assert_resumes


class Weighted(Technique):
    """Examples count differently, and the targets are mixed."""

    name = "weighted"
    stage = Stage.BATCH

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        return dataclasses.replace(batch, weights=0.25 + (batch.indices % 7) / 3)


class Exact(Technique):
    """A model, a loss and an optimizer of small whole numbers and halves of them: float32 rounds nothing."""

    name = "exact"
    stage = Stage.ARCHITECTURE
    claims = frozenset({Claim.CRITERION, Claim.OPTIMIZER})

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        linear = nn.Linear(16, run.data.classes)
        with torch.no_grad():
            for parameter in linear.parameters():
                parameter.copy_(torch.randint(-4, 5, parameter.shape).float())
        return nn.Sequential(nn.Flatten(), linear)

    def configure_optimizer(self, run: Run, optimization: Optimization) -> Optimization:
        return Optimization(optimizer=torch.optim.SGD(run.model.parameters(), lr=2.0**-4), scheduler=None)

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        targets = nn.functional.one_hot(batch.targets, run.data.classes)
        return (outputs * (2 * targets - 1)).sum(dim=1)  # linear in the weights: gradients stay whole numbers / 16


def whole_numbers() -> DataSplits:
    """20 examples: a last batch of 4 after one of 16."""
    data = blobs(train=20)
    labels = torch.arange(20) % 4
    inputs = torch.randint(-8, 9, (20, 1, 4, 4), generator=torch.Generator().manual_seed(5)).float()
    return dataclasses.replace(data, train=TensorExamples(inputs, labels))


@pytest.mark.parametrize("options", [{"micro_batches": 3}, {"micro_batches": 16}, {"micro_batch_size": 5}])
def test_equals_the_large_batch_bit_for_bit_where_nothing_is_rounded(tmp_path: Path, options: dict[str, int]) -> None:
    train(config(tmp_path / "large"), [Exact()], data=whole_numbers())
    train(config(tmp_path / "parts"), [Exact(), Accumulation(**options)], data=whole_numbers())
    assert same(weights(tmp_path / "large"), weights(tmp_path / "parts"))


@pytest.mark.parametrize(
    "others",
    [list, lambda: [Weighted(), Smoothing(0.2)], lambda: [HardExamples()]],
    ids=["plain", "weighted-and-smoothed", "fewer-examples"],
)
@pytest.mark.parametrize("options", [{"micro_batches": 4}, {"micro_batch_size": 3}])
def test_equals_the_large_batch_up_to_rounding(
    tmp_path: Path, others: Callable[[], list[Technique]], options: dict[str, int]
) -> None:
    """101 examples in batches of 16: the last batch of an epoch has 5 (of 50: 2)."""
    large = train(config(tmp_path / "large"), [NoDropout(), *others()])
    parts = train(config(tmp_path / "parts"), [NoDropout(), *others(), Accumulation(**options)])
    assert (large.steps, large.samples) == (parts.steps, parts.samples)
    for name, weight in weights(tmp_path / "large").items():
        torch.testing.assert_close(weight, weights(tmp_path / "parts")[name], rtol=1e-4, atol=1e-5)


def test_one_micro_batch_is_the_plain_training(tmp_path: Path) -> None:
    train(config(tmp_path / "plain"))
    train(config(tmp_path / "one"), [Accumulation(micro_batch_size=16)])
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "one"))


@pytest.mark.parametrize(
    ("made", "examples", "sizes"),
    [
        (Accumulation(), 16, [4, 4, 4, 4]),
        (Accumulation(micro_batches=4), 9, [3, 3, 3]),
        (Accumulation(micro_batches=4), 2, [1, 1]),
        (Accumulation(micro_batch_size=4), 10, [4, 4, 2]),
        (Accumulation(micro_batch_size=64), 10, [10]),
    ],
)
def test_no_pass_is_empty_and_none_too_large(made: Accumulation, examples: int, sizes: list[int]) -> None:
    run = _run(World())
    parts = made.split_batch(run, _batch(examples))
    assert [len(part) for part in parts] == sizes
    assert torch.cat([part.indices for part in parts]).tolist() == list(range(examples))
    assert made.results(run) == {"passes": len(sizes), "largest_micro_batch": max(sizes)}


def test_a_process_with_a_smaller_share_makes_as_many_passes() -> None:
    class Larger(World):
        """Another process has one example more."""

        def largest(self, value: int) -> int:
            return max(value, 9)

    parts = Accumulation(micro_batch_size=4).split_batch(_run(Larger()), _batch(8))
    assert [(len(part), part.weights.sum().item()) for part in parts] == [(3, 3.0), (3, 3.0), (2, 2.0)]


def test_resumes_with_another_technique(tmp_path: Path) -> None:
    result = assert_resumes(tmp_path, lambda: [Accumulation(micro_batches=3), Amp()], step=20)
    # Five examples in the last of seven batches: 2, 2 and 1.
    assert result.techniques["accumulation"] == {"passes": 3 * 3 * 7, "largest_micro_batch": 6}


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("micro_batches=2,micro_batch_size=8", "micro_batches=2 and micro_batch_size=8 say the same.*leave one out"),
        ("micro_batches=-1", "micro_batches=-1: use a whole number of at least 1"),
        ("micro_batch_size=-8", "micro_batch_size=-8: use a whole number of at least 1"),
    ],
)
def test_options_that_cannot_be_used(options: str, complaint: str) -> None:
    with pytest.raises(TechniqueError, match=complaint):
        registry.create(f"accumulation,{options}")


def test_more_micro_batches_than_examples() -> None:
    with pytest.raises(ConfigError, match=r"batch_size=16: .* micro_batches=17.*larger batch size, or fewer"):
        train(config(), [registry.create("accumulation,micro-batches=17")])


def _batch(examples: int) -> Batch:
    ones = torch.ones(examples)
    return Batch(inputs=ones, targets=ones, labels=ones, indices=torch.arange(examples), weights=ones)


def _run(world: World) -> Run:
    from frugal.composition import Composition

    return Run(config=TrainConfig(), world=world, device=torch.device("cpu"), techniques=Composition([]), data=blobs())
