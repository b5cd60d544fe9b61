"""How far the numbers reach that flow into layers, and layers that behave as if they had 8 bits.

A `Simulation` lets a model in training compute as it will when it is quantized: inputs and weights are rounded to the
integers' grid, and gradients pass as if they were not (fake quantization with straight-through estimators; Jacob et
al., 2018). The weights themselves stay float, under their names and of their types, so pruning, optimizers and
checkpoints see the model that they know; only the layers' ``forward`` is another while it lasts.

A reach is kept as ``[below, above]``, both growing away from zero: two are merged by taking the larger ones, so micro-
batches and processes together find what one whole batch does.
"""

from __future__ import annotations

import copy
import types
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from frugal.methods.quantizing import (
    LARGEST,
    Layer,
    activation_levels,
    eligible,
    reach_of,
    scale_of,
    weight_scales,
)

if TYPE_CHECKING:
    from frugal.data import Examples

MOMENTUM = 0.1  # of a step's reach in the moving average
BATCH = 256

Reaches = dict[str, Tensor]  # by layer: [below, above] of what comes into it


@torch.no_grad()
def calibrated(model: nn.Module, examples: Examples, chosen: Tensor, device: torch.device) -> Reaches:
    """How far the numbers reach that come into layers when ``model`` answers the ``chosen`` of the ``examples``."""
    reaches: Reaches = {}

    def hook_for(name: str) -> Callable[[nn.Module, Any], None]:
        def hook(module: nn.Module, inputs: Any) -> None:
            reach = reach_of(inputs[0])
            reaches[name] = torch.maximum(reaches[name], reach) if name in reaches else reach

        return hook

    twin = copy.deepcopy(model).eval()
    for name, layer in eligible(twin):
        layer.register_forward_pre_hook(hook_for(name))
    for indices in torch.split(chosen, BATCH):
        twin(examples.batch(indices, device)[0])
    return reaches


class Simulation:
    """Makes models compute as if quantized, and learns how far their numbers reach.

    Attributes:
        active: Until it is, layers compute as ever.
        reaches: Moving averages over the steps; a layer whose inputs were not yet seen takes them as they are.
    """

    def __init__(self) -> None:
        self.active = False
        self.reaches: Reaches = {}
        self._latest: Reaches = {}  # of the step under way
        self._levels = activation_levels()
        self._forwards: set[Callable[..., Tensor]] = set()

    def install(self, model: nn.Module) -> None:
        """On each layer of ``model`` that will be quantized; once on any model."""
        self.remove_from(model)
        for name, layer in eligible(model):
            layer.forward = self._forward_of(name, layer)  # type: ignore[method-assign]

    def remove_from(self, model: nn.Module) -> None:
        """Off ``model``: the one it was installed on, or a copy of that."""
        for module in model.modules():
            if getattr(module.__dict__.get("forward"), "__func__", None) in self._forwards:
                del module.__dict__["forward"]

    def end_step(self, share: Callable[[Tensor], Tensor]) -> None:
        """Take the step's reaches into the averages.

        Args:
            share: The elementwise maximum over the processes; called in each of them with ``[reaches, 2]``.
        """
        if not self._latest:
            return
        keys = sorted(self._latest)
        for key, latest in zip(keys, share(torch.stack([self._latest[key] for key in keys])), strict=True):
            known = self.reaches.get(key)
            self.reaches[key] = latest if known is None else known.lerp(latest, MOMENTUM)
        self._latest = {}

    def complete_for(self, model: nn.Module) -> bool:
        """Whether all that `install` covers was seen."""
        return all(name in self.reaches for name, _ in eligible(model))

    def state_dict(self) -> dict[str, Any]:
        """Between two steps."""
        return {"active": self.active, "reaches": dict(self.reaches)}

    def load_state_dict(self, state: Mapping[str, Any], device: torch.device) -> None:
        """Put it back."""
        self.active = state["active"]
        self.reaches = {key: reach.to(device) for key, reach in state["reaches"].items()}

    def _forward_of(self, name: str, layer: Layer) -> types.MethodType:
        def forward(self_: Layer, inputs: Tensor) -> Tensor:
            weight: Tensor = self_.weight
            if self.active:
                inputs = self._rounded(name, inputs, learning=self_.training)
                scales, largest = weight_scales(weight), LARGEST[8]
                zeros = torch.zeros_like(scales, dtype=torch.int32)
                weight = torch.fake_quantize_per_channel_affine(weight, scales, zeros, 0, -largest, largest)
            if isinstance(self_, nn.Linear):
                return nn.functional.linear(inputs, weight, self_.bias)
            convolved: Tensor = self_._conv_forward(inputs, weight, self_.bias)
            return convolved

        self._forwards.add(forward)
        # Bound to the layer: a copy of the model gets copies that are bound to the copied layers.
        return types.MethodType(forward, layer)

    def _rounded(self, name: str, values: Tensor, *, learning: bool) -> Tensor:
        if learning:
            reach = reach_of(values)
            seen = self._latest.get(name)
            self._latest[name] = reach if seen is None else torch.maximum(seen, reach)
        known = self.reaches.get(name)
        if known is None:
            return values
        step, zero = scale_of(known, self._levels)
        return torch.fake_quantize_per_tensor_affine(values.float(), step, zero, 0, self._levels)
