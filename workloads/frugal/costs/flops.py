"""What a model costs by its shape alone: parameters, bytes and floating-point operations, on whatever machine.

FLOPs are those of torch's own counter: matrix products, convolutions and attention, a multiply-add as two. It leaves
out element-wise operations, and kernels that it has no formula for (int8 among them) count nothing: compare models
whose layers are of one kind. Zeros are counted as any other number, since dense kernels multiply them too.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode


@dataclass(frozen=True, kw_only=True)
class Cost:
    """What a model costs.

    Attributes:
        parameters: Trainable or frozen numbers.
        nonzero: Of these, the ones that are not zero.
        bytes: Of all that is stored and loaded to use the model: parameters and buffers, shared ones once.
        flops: To answer for one example.
    """

    parameters: int
    nonzero: int
    bytes: int
    flops: int


def measure(model: nn.Module, shape: Sequence[int]) -> Cost:
    """The cost of ``model`` for one input of ``shape`` (without the batch), in evaluation mode.

    The model is not touched: a copy is run once, where the model's weights are.
    """
    parameters = list(model.parameters())
    return Cost(
        parameters=sum(parameter.numel() for parameter in parameters),
        nonzero=sum(int(parameter.detach().count_nonzero()) for parameter in parameters),
        bytes=stored_bytes(model),
        flops=count_flops(model, shape),
    )


@torch.no_grad()
def count_flops(model: nn.Module, shape: Sequence[int]) -> int:
    """Floating-point operations of one forward pass on one input of ``shape``; the random streams stay as they were."""
    tensor: Tensor | None = next(_tensors(model.state_dict()), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    twin = copy.deepcopy(model).eval()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        counter = FlopCounterMode(display=False)
        with counter:
            twin(torch.zeros(1, *shape, device=device))
    return int(counter.get_total_flops())


def stored_bytes(model: nn.Module) -> int:
    """Bytes of the parameters and buffers that a file of the model holds, also where they are packed in tuples."""
    sizes = {(tensor.device, _address(tensor)): tensor.nbytes for tensor in _tensors(model.state_dict())}
    return sum(sizes.values())


def _address(tensor: Tensor) -> int:
    return tensor.data_ptr() or id(tensor)  # tensors without elements have no address


def _tensors(value: object) -> Iterator[Tensor]:
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _tensors(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _tensors(inner)
