"""Every random stream of a process, captured and put back exactly.

The data order has its own generator seeded by (seed, epoch); what is captured here serves dropout and the techniques.
The captured form holds only tensors and plain values, as safe loading demands.
"""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch

RngState = dict[str, Any]

_EPOCH_STRIDE = 1_000_003
_RANK_STRIDE = 7_919


def seed_all(seed: int, rank: int = 0) -> None:
    """Seed every stream; ranks differ, else all would drop the same units."""
    mixed = (seed + rank * _RANK_STRIDE) % 2**32
    random.seed(mixed)
    np.random.seed(mixed)  # third-party techniques may draw from it
    torch.manual_seed(mixed)


def epoch_order(examples: int, seed: int, epoch: int) -> torch.Tensor:
    """The order in which an epoch visits the examples: the same in every process and attempt."""
    generator = torch.Generator().manual_seed((seed * _EPOCH_STRIDE + epoch) % 2**63)
    return torch.randperm(examples, generator=generator)


def capture() -> RngState:
    """The state of every stream of this process."""
    cuda_is_used = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    kind, keys, position, has_gauss, gauss = np.random.get_state(legacy=True)
    return {
        "python": random.getstate(),
        "numpy": (str(kind), torch.from_numpy(np.asarray(keys).astype(np.int64)), position, has_gauss, gauss),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if cuda_is_used else None,
    }


def restore(state: RngState) -> None:
    """Put a captured state back."""
    version, internal, gauss_next = state["python"]
    random.setstate((version, tuple(internal), gauss_next))
    kind, keys, position, has_gauss, gauss = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, gauss))
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
