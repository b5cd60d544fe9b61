"""What the selection methods promise: k-center covers, herding keeps the mean, balance keeps the classes."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from frugal.methods import selection

SEEDS = range(8)


def _clusters(seed: int, count: int = 400) -> Tensor:
    """Dense and sparse clusters: chance misses the sparse ones."""
    generator = torch.Generator().manual_seed(seed)
    centres = 6 * torch.randn(12, 10, generator=generator)
    sizes = torch.tensor([2.0 ** -(i // 2) for i in range(12)])
    members = torch.multinomial(sizes, count, replacement=True, generator=generator)
    return centres[members] + torch.randn(count, 10, generator=generator)


def _radius(features: Tensor, chosen: Tensor) -> float:
    """The greatest distance between a row and its nearest chosen one."""
    return float(torch.cdist(features, features[chosen]).min(dim=1).values.max())


def _drift(features: Tensor, chosen: Tensor) -> float:
    return float((features[chosen].mean(dim=0) - features.mean(dim=0)).norm())


@pytest.mark.parametrize("seed", SEEDS)
def test_k_center_covers_better_than_chance(seed: int) -> None:
    features = _clusters(seed)
    torch.manual_seed(seed)
    by_chance = min(_radius(features, selection.random(features, 40)) for _ in range(5))
    assert _radius(features, selection.k_center(features, 40)) < 0.9 * by_chance


@pytest.mark.parametrize("seed", SEEDS)
def test_k_center_is_within_twice_the_best_cover(seed: int) -> None:
    """Chosen rows and the worst-covered one are pairwise a radius apart: no choice covers with less than half of it."""
    features = _clusters(seed)
    chosen = selection.k_center(features, 20)
    apart = torch.cdist(features[chosen], features[chosen]).fill_diagonal_(torch.inf).min().item()
    assert apart >= _radius(features, chosen) * (1 - 1e-4)


def test_k_center_begins_in_the_middle_and_goes_to_the_rim() -> None:
    features = torch.tensor([[0.0], [10.0], [4.0], [5.5], [9.0]])  # mean 5.7
    assert selection.k_center(features, 4).tolist() == [3, 0, 1, 2]


@pytest.mark.parametrize("seed", SEEDS)
def test_herding_keeps_the_mean_better_than_chance(seed: int) -> None:
    features = _clusters(seed) + 5
    torch.manual_seed(seed)
    by_chance = sum(_drift(features, selection.random(features, 40)) for _ in range(20)) / 20
    assert _drift(features, selection.herding(features, 40)) < 0.4 * by_chance


@pytest.mark.parametrize("method", selection.METHODS)
def test_chosen_rows_are_distinct_even_among_duplicates(method: str) -> None:
    features = torch.randn(6, 3).repeat(5, 1) * 1000
    chosen = selection.METHODS[method](features, 30)
    assert chosen.sort().values.tolist() == list(range(30))


@pytest.mark.parametrize("method", selection.METHODS)
def test_balanced_selection_keeps_each_class_share(method: str) -> None:
    labels = torch.tensor([0] * 100 + [1] * 30 + [2])
    features = torch.randn(131, 5)
    chosen = selection.select(selection.METHODS[method], lambda rows: features[rows], labels, share=0.2, balanced=True)
    assert labels[chosen].bincount().tolist() == [20, 6, 1]
    assert chosen.tolist() == sorted(set(chosen.tolist()))


def test_unbalanced_k_center_goes_where_the_distances_are() -> None:
    labels = torch.tensor([0] * 100 + [1] * 100)
    features = torch.cat([0.01 * torch.randn(100, 5), torch.randn(100, 5)])
    chosen = selection.select(selection.k_center, lambda rows: features[rows], labels, share=0.2, balanced=False)
    assert len(chosen) == 40
    assert labels[chosen].sum() > 35
