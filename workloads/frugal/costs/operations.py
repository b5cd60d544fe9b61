"""What one answer of a model takes, by kind of arithmetic: what a `Technology`'s picojoules are multiplied with.

Multiply-adds follow from shapes alone and are counted on the float model, before its layers are replaced by kernels
that no counter knows. Linear and convolutional layers are told apart by the precision they compute in; all other
products (attention's, say) have one precision together. Zeros count as any number; additions alone, activations and
conversions count nothing.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from frugal.costs.flops import count_flops

PRECISIONS = ("fp32", "bf16", "fp16", "fp8", "int8", "int4")
LAYERS = (nn.Linear, nn.Conv1d, nn.Conv2d, nn.Conv3d)


def operations(
    model: nn.Module, shape: Sequence[int], precision: Mapping[str, str] | None = None, otherwise: str = "fp32"
) -> dict[str, int]:
    """Multiply-adds to answer for one example of ``shape`` (without the batch), by kind.

    Args:
        model: In float; stays as it is.
        shape: Of one input.
        precision: What layers compute in, by their name in ``model``: one of `PRECISIONS`.
        otherwise: What everything else computes in.

    Returns:
        ``mac-fp32``, ``mac-int8``… to their number, kinds as in `frugal.costs.technology.Technology`.

    Raises:
        ValueError: A precision is unknown, or a layer is not in the model.
    """
    named = precision or {}
    unknown = {*named.values(), otherwise} - {*PRECISIONS}
    if unknown:
        raise ValueError(f"precision {', '.join(sorted(unknown))}: use one of {', '.join(PRECISIONS)}")
    by_layer = macs_by_layer(model, shape)
    strangers = named.keys() - by_layer.keys()
    if strangers:
        raise ValueError(f"the model has no linear or convolutional layer {', '.join(map(repr, sorted(strangers)))}")
    counts: Counter[str] = Counter()
    for name, macs in by_layer.items():
        counts[f"mac-{named.get(name, otherwise)}"] += macs
    counts[f"mac-{otherwise}"] += count_flops(model, shape) // 2 - sum(by_layer.values())
    return {kind: count for kind, count in counts.items() if count}


@torch.no_grad()
def macs_by_layer(model: nn.Module, shape: Sequence[int]) -> dict[str, int]:
    """Multiply-adds of each linear and convolutional layer for one example, all its calls together, by its name."""
    twin = copy.deepcopy(model).eval()
    macs = {name: 0 for name, module in twin.named_modules() if isinstance(module, LAYERS)}
    for name in macs:
        layer = twin.get_submodule(name)

        def count(module: nn.Module, inputs: object, outputs: Tensor, name: str = name) -> None:
            weight = module.weight
            assert isinstance(weight, Tensor)  # noqa: S101  # `LAYERS` have one
            macs[name] += outputs.numel() * weight[0].numel()

        layer.register_forward_hook(count)
    tensor: Tensor | None = next(twin.parameters(), None)
    device = torch.device("cpu") if tensor is None else tensor.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        twin(torch.zeros(1, *shape, device=device))
    return macs
