"""Models that are one chain of layers, and how to make them physically smaller.

Where each layer feeds only the next, a unit (a linear layer's output or a convolution's channel) whose weights and bias
are zero can be cut out: its row here and its columns in the next layer. The outputs stay the same (up to the order of
sums) if everything in between works on each unit alone and turns zeros into zeros. What is not known to do so is
refused: a wrong model would be worse than none.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import torch
from torch import Tensor, nn

from frugal.errors import TechniqueError
from frugal.models import SpatialMean

Layer = nn.Linear | nn.Conv2d

ZERO_TO_ZERO = (
    nn.ReLU,
    nn.ReLU6,
    nn.LeakyReLU,
    nn.ELU,
    nn.GELU,
    nn.SiLU,
    nn.Mish,
    nn.Hardswish,
    nn.Tanh,
    nn.Identity,
    nn.Dropout,
    nn.Dropout2d,
)
OVER_MAPS = (nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass(frozen=True, kw_only=True)
class Link:
    """A layer with weights, in its place in the chain.

    Attributes:
        name: Its path in the model.
        columns_per_unit: Inputs that come from each unit before: a channel's pixels, where `nn.Flatten` lined them up.
    """

    name: str
    layer: Layer
    columns_per_unit: int = 1


def links(model: nn.Module) -> list[Link]:
    """The layers with weights, first to last; the last one's units are the model's outputs.

    Raises:
        TechniqueError: The model is no chain of which units can be cut out; says at which layer and why.
    """
    found: list[Link] = []
    lined_up = flattened = False  # whether units are features of a vector; whether a Flatten made them so
    for name, module in _steps(model, ""):
        if _is_layer(module):
            if any(link.layer.weight is module.weight for link in found):
                raise _refusal(name, module, "shares its weights with another layer")
            found.append(_link(name, module, found, lined_up=lined_up, flattened=flattened))
            lined_up, flattened = isinstance(module, nn.Linear), False
        elif type(module) is nn.Flatten or type(module) is SpatialMean:
            if found and lined_up:
                raise _refusal(name, module, "comes after the units were lined up already")
            if isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
                raise _refusal(name, module, "does not line up everything but the batch")
            lined_up, flattened = True, isinstance(module, nn.Flatten)
        elif type(module) in OVER_MAPS:
            if lined_up:
                raise _refusal(name, module, "mixes units that were lined up before")
        elif type(module) not in ZERO_TO_ZERO:
            raise _refusal(name, module, "is not known to work on each unit alone and to turn zeros into zeros")
    if len(found) < 2:
        raise TechniqueError(
            "pruning,structure=channels needs a model with hidden units, this one has none: use structure=unstructured"
        )
    return found


def without_units(model: nn.Module, kept: Mapping[str, Tensor]) -> nn.Module:
    """A copy of ``model`` that has only the units which are kept.

    Args:
        model: A chain, see `links`; stays as it is.
        kept: For layers by name, ``[units]`` bool; other layers keep all.
    """
    smaller = copy.deepcopy(model)
    before: Tensor | None = None
    for link in links(smaller):
        rows = kept.get(link.name)
        _cut(link.layer, rows, None if before is None else before.repeat_interleave(link.columns_per_unit))
        before = rows
    return smaller


def _steps(module: nn.Module, name: str) -> Iterator[tuple[str, nn.Module]]:
    """The modules in the order in which they are applied, sequences within sequences opened."""
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        for number, inner in module._modules.items():
            if inner is not None:
                yield from _steps(inner, f"{name}.{number}" if name else number)
    else:
        yield name, module


def _is_layer(module: nn.Module) -> TypeGuard[Layer]:
    # Not what is derived from them: it may compute its weights from others.
    return type(module) in (nn.Linear, nn.Conv2d)


def _link(name: str, layer: Layer, before: list[Link], *, lined_up: bool, flattened: bool) -> Link:
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        raise _refusal(name, layer, "has groups, whose units hang together")
    if not before:
        return Link(name=name, layer=layer)
    if isinstance(layer, nn.Linear) is not lined_up:
        raise _refusal(name, layer, f"cannot follow {before[-1].name!r} without nn.Flatten or a mean in between")
    units, columns = before[-1].layer.weight.shape[0], layer.weight.shape[1]
    if columns % units or (columns != units and not flattened):
        raise _refusal(name, layer, f"takes {columns} inputs, which are not those of the {units} units before")
    return Link(name=name, layer=layer, columns_per_unit=columns // units)


@torch.no_grad()
def _cut(layer: Layer, rows: Tensor | None, columns: Tensor | None) -> None:
    weight, bias = layer.weight, layer.bias
    if columns is not None:
        weight = nn.Parameter(weight[:, columns], requires_grad=weight.requires_grad)
    if rows is not None:
        weight = nn.Parameter(weight[rows], requires_grad=weight.requires_grad)
        if bias is not None:
            layer.bias = nn.Parameter(bias[rows], requires_grad=bias.requires_grad)
    layer.weight = weight
    if isinstance(layer, nn.Linear):
        layer.out_features, layer.in_features = weight.shape
    else:
        layer.out_channels, layer.in_channels = weight.shape[:2]


def _refusal(name: str, module: nn.Module, reason: str) -> TechniqueError:
    return TechniqueError(
        f"pruning,structure=channels: layer {name!r} ({type(module).__name__}) {reason}; "
        "use a plain chain of Linear and Conv2d layers such as the models mlp and cnn, or structure=unstructured"
    )
