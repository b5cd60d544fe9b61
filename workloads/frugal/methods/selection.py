"""Which rows of a feature matrix to keep: k-center greedy, herding, random, for a whole set or class by class.

Pure functions of their arguments. A step of the greedy methods is one product of the matrix with a vector: the time is
O(k·n·d), and beside the features memory for O(n + d) numbers is needed (herding: and for one copy of them), whatever k
is. Balanced selection keeps every class's share, and divides time and memory by the number of classes.

Sources: Sener and Savarese, "Active Learning for Convolutional Neural Networks: A Core-Set Approach", 2018 (k-center
greedy, algorithm 1); Welling, "Herding Dynamical Weights to Learn", 2009, and Rebuffi et al., "iCaRL", 2017 (herding
of features that are not all of one length).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Features = Callable[[Tensor], Tensor]
Method = Callable[[Tensor, int], Tensor]


@torch.no_grad()
def k_center(features: Tensor, count: int) -> Tensor:
    """Repeatedly the row that is farthest from all chosen ones; the first is the one nearest to the mean.

    No choice of as many rows has less than half the greatest distance between a row and its nearest chosen one.

    Args:
        features: ``[n, d]``.
        count: How many, up to n.

    Returns:
        ``[count]`` row numbers in the order of choice, on the CPU.
    """
    squares = _squared_lengths(features)
    mean = features.mean(dim=0)
    newest = (squares - 2 * (features @ mean)).argmin()
    distances = torch.full_like(squares, torch.inf)
    chosen = torch.empty(count, dtype=torch.int64, device=features.device)
    for place in range(count):  # without .item(), so that a GPU need not be waited for
        chosen[place] = newest
        away = squares - 2 * (features @ features[newest]) + squares[newest]
        distances = torch.minimum(distances, away)
        distances[newest] = -torch.inf  # chosen; rounding could leave a duplicate's distance a little above zero
        newest = distances.argmax()
    return chosen.cpu()


@torch.no_grad()
def herding(features: Tensor, count: int) -> Tensor:
    """Repeatedly the row that brings the mean of the chosen ones nearest to the mean of all.

    Args:
        features: ``[n, d]``.
        count: How many, up to n.

    Returns:
        ``[count]`` row numbers in the order of choice, on the CPU.
    """
    centred = features - features.mean(dim=0)  # the mean to be reached is 0 now
    squares = _squared_lengths(centred)
    total = torch.zeros(features.shape[1], dtype=torch.float64, device=features.device)
    taken = torch.zeros_like(squares)
    chosen = torch.empty(count, dtype=torch.int64, device=features.device)
    for place in range(count):
        # |total + row|² without the part that is the same for all rows.
        newest = (squares + 2 * (centred @ total.to(centred.dtype)) + taken).argmin()
        chosen[place] = newest
        total += centred[newest]
        taken[newest] = torch.inf
    return chosen.cpu()


def random(features: Tensor, count: int) -> Tensor:
    """``count`` rows by torch's current random stream: what the others must beat."""
    return torch.randperm(len(features))[:count]


METHODS: dict[str, Method] = {"k-center": k_center, "herding": herding, "random": random}


def select(method: Method, features: Features, labels: Tensor, share: float, *, balanced: bool) -> Tensor:
    """The examples to keep.

    Args:
        method: Chooses among rows of features.
        features: Gives the features ``[m, d]`` of the examples whose numbers it gets.
        labels: ``[n]`` classes.
        share: Of the examples, or of each class, above 0 and up to 1; at least one is kept.
        balanced: Choose class by class.

    Returns:
        Ascending example numbers, on the CPU.
    """
    labels = labels.cpu()
    groups = [torch.arange(len(labels))]
    if balanced:
        groups = [(labels == label).nonzero().flatten() for label in sorted(set(labels.tolist()))]
    kept = [group[method(features(group), max(1, round(share * len(group))))] for group in groups]
    return torch.cat(kept).sort().values


def _squared_lengths(rows: Tensor) -> Tensor:
    lengths: Tensor = torch.linalg.vector_norm(rows, dim=1)  # unlike rows.square(), no second matrix
    return lengths.square()
