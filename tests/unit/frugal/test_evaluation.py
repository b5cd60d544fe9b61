"""Evaluation adds up what the processes find, also where there are fewer examples than processes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest
import torch
from torch import Tensor, nn

from frugal.data import TensorExamples
from frugal.distributed import World
from frugal.evaluation import evaluate_deployed
from frugal.run import Run
from frugal.technique import Evaluation

OTHERS = torch.tensor([0.5, 1.0, 1.0], dtype=torch.float64)  # loss, correct, examples


class _Others(World):
    """A gang of which this is one process, and the others have found `OTHERS`."""

    def sum(self, values: Tensor) -> Tensor:
        return values + OTHERS


class _NeverEmpty(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        assert len(inputs)
        return inputs


@pytest.mark.parametrize(("rank", "size"), [(1, 2), (2, 3)])
def test_a_process_without_examples_adds_nothing(rank: int, size: int) -> None:
    run = cast("Run", SimpleNamespace(world=_Others(rank=rank, size=size)))
    one = TensorExamples(torch.zeros(1, 2), torch.zeros(1, dtype=torch.int64))
    found = evaluate_deployed(run, _NeverEmpty(), one)
    assert (found.loss, found.accuracy, found.samples) == (0.5, 1.0, 1)


@pytest.mark.parametrize("lost", [float("nan"), float("inf")])
def test_an_evaluation_that_diverged_ranks_below_any_of_equal_accuracy(lost: float) -> None:
    diverged = Evaluation(loss=lost, accuracy=0.1, samples=9)
    finite = Evaluation(loss=1e9, accuracy=0.1, samples=9)
    assert finite.rank > diverged.rank
    assert not diverged.rank > finite.rank
