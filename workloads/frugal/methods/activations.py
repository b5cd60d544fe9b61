"""Activation functions by name, one that keeps only the strongest units, and the share of zeros that each leaves.

What must hold: `TopK` keeps exactly the same number of values of every example, ties or not; measuring changes nothing
in the model and draws nothing at random. Top-k activations: Makhzani & Frey, "k-Sparse Autoencoders" (2014); Ahmad &
Scheinkman, "How Can We Be So Dense?" (2019).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

TOP_K = "top-k"

KINDS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky-relu": nn.LeakyReLU,
    "relu6": nn.ReLU6,
    "hardswish": nn.Hardswish,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "prelu": nn.PReLU,
}
"""Those without an option of their own, as torch has them."""


class TopK(nn.Module):
    """Keeps the ``keep`` share of an example's values that are largest, as they are, and makes the others 0.

    Args:
        keep: Above 0 and at most 1; at least one value of an example is kept.
    """

    def __init__(self, keep: float) -> None:
        super().__init__()
        self.keep = keep

    def forward(self, inputs: Tensor) -> Tensor:
        """``[n, *shape]`` to the same; the gradient flows through the kept values only."""
        values = inputs.flatten(1)
        kept = max(1, round(self.keep * values.shape[1]))
        strongest = values.topk(kept, dim=1, sorted=False).indices
        # By position and not by a threshold: equal values would all pass it.
        mask = torch.zeros_like(values, dtype=torch.bool).scatter(1, strongest, value=True)
        return torch.where(mask.view(inputs.shape), inputs, 0)

    def extra_repr(self) -> str:
        """See `nn.Module.extra_repr`."""
        return f"keep={self.keep}"


def create(kind: str, keep: float) -> nn.Module:
    """A new activation; ``keep`` is for `TopK`."""
    return TopK(keep) if kind == TOP_K else KINDS[kind]()


def replace_relu(model: nn.Module, make: Callable[[], nn.Module]) -> int:
    """Put a new activation where ``model`` has an `nn.ReLU`; returns how many places there were.

    A module that stands in several places gives each place its own activation: what is learned there may differ.
    """
    places = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent._modules.items()
        if isinstance(child, nn.ReLU)
    ]
    for parent, name in places:
        setattr(parent, name, make())
    return len(places)


@dataclass
class Zeros:
    """Counts values of activations, and how many of them are exactly 0."""

    zeros: int = 0
    values: int = 0

    @property
    def share(self) -> float:
        """Zeros among the values; 0 where there were none."""
        return self.zeros / self.values if self.values else 0.0


@contextmanager
def counted_zeros(model: nn.Module, kind: type[nn.Module]) -> Iterator[Zeros]:
    """Counts what the modules of type ``kind`` give while the context lasts."""
    counted = Zeros()

    def count(module: nn.Module, inputs: Any, output: Tensor) -> None:
        counted.zeros += int((output == 0).sum())
        counted.values += output.numel()

    handles = [module.register_forward_hook(count) for module in model.modules() if isinstance(module, kind)]
    try:
        yield counted
    finally:
        for handle in handles:
            handle.remove()
