"""How often the neurons of a spiking network spike, and how many synapses each spike goes through.

A spike costs one synaptic operation at each connection that leaves its neuron: as many as the next layer has weights
for it, fewer at the borders of an image and behind larger strides, none where a weight was pruned to zero. A mean over
an image is part of the layer after it: each of its inputs spikes into all that the mean goes to.

What must hold: counts are exact, of each example apart, and counting leaves the network as it is. Definition of the
operation: Merolla et al., "A million spiking-neuron integrated circuit…" (Science 345, 2014).
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from frugal.costs.flops import count_flops
from frugal.errors import TechniqueError
from frugal.methods.spiking import Neurons, RateCode, Stretch, stretches
from frugal.models import SpatialMean


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What a spiking network did to answer some examples.

    Attributes:
        spikes: ``[n]`` of its neurons, over all time steps.
        input_spikes: ``[n]`` of rate-coded inputs; zeros where inputs come in as numbers.
        synaptic_operations: ``[n]`` spikes, those of inputs too, times the synapses that each goes through.
        neurons: Of all layers; inputs and outputs are none.
        steps: Time steps.
        first_layer_macs: Multiply-adds of one example where inputs are numbers: once, as the current is the same in all
            steps.
    """

    spikes: Tensor
    input_spikes: Tensor
    synaptic_operations: Tensor
    neurons: int
    steps: int
    first_layer_macs: int

    @property
    def sparsity(self) -> float:
        """Share of the neurons' time steps without a spike."""
        return 1 - float(self.spikes.mean()) / (self.neurons * self.steps)


@torch.no_grad()
def count(model: nn.Module, inputs: Tensor) -> Counts:
    """What ``model``, a network made by `frugal.methods.spiking.convert`, does with ``inputs`` ``[n, ...]``.

    Raises:
        TechniqueError: Its layers became others, whose synapses cannot be counted.
    """
    parts = stretches(model)
    sources = [part.source for part in parts if part.source is not None]
    was_training = model.training
    model.eval()
    try:
        with _watched(sources) as seen:
            model(inputs)
    finally:
        model.train(was_training)
    spikes, input_spikes, operations = (torch.zeros(len(inputs), dtype=torch.float64) for _ in range(3))
    neurons = steps = 0
    for part in parts:
        if part.source is None:
            continue
        by_place = seen[part.source]
        total = input_spikes if isinstance(part.source, RateCode) else spikes
        total += by_place.flatten(1).sum(dim=1).cpu()
        operations += (by_place * fan_out(part, by_place.shape[1:])).flatten(1).sum(dim=1).cpu()
        steps = part.source.steps
        neurons += by_place[0].numel() if isinstance(part.source, Neurons) else 0
    return Counts(
        spikes=spikes,
        input_spikes=input_spikes,
        synaptic_operations=operations,
        neurons=neurons,
        steps=steps,
        first_layer_macs=_first_layer_macs(parts[0], inputs.shape[1:]),
    )


def fan_out(part: Stretch, shape: Sequence[int], *, pruned: bool = True) -> Tensor:
    """For each neuron of ``shape`` the number of synapses that its spike goes through in ``part``, float64.

    Args:
        part: What follows the neurons.
        shape: Of their layer, without the batch.
        pruned: Weights of zero are no synapses.

    Raises:
        TechniqueError: The part has not exactly one layer with weights of a known kind.
    """
    layers = nn.Sequential(*(_connections(layer, pruned=pruned) for layer in part.layers))
    if sum(isinstance(layer, nn.Linear | nn.Conv2d) for layer in layers) != 1:
        kinds = ", ".join(type(layer).__name__ for layer in part.layers) or "nothing"
        raise TechniqueError(
            f"spiking: synapses cannot be counted in {kinds}: another technique changed the layers; leave one out"
        )
    with torch.enable_grad(), torch.autocast(_device(layers).type, enabled=False):
        spikes = torch.ones(1, *shape, dtype=torch.float64, device=_device(layers), requires_grad=True)
        # With weights of 1 where there is a connection, the sum of all outputs grows by 1 for each that a spike meets.
        (slopes,) = torch.autograd.grad(layers(spikes).sum(), spikes)
    return slopes[0]


class _SpatialSum(nn.Module):
    def forward(self, inputs: Tensor) -> Tensor:
        return inputs.sum(dim=(2, 3))


@torch.no_grad()
def _connections(layer: nn.Module, *, pruned: bool) -> nn.Module:
    """What ``layer`` connects, each connection as a 1."""
    if isinstance(layer, SpatialMean):
        return _SpatialSum()
    if not isinstance(layer, nn.Linear | nn.Conv2d):
        return copy.deepcopy(layer).eval()
    ones: nn.Linear | nn.Conv2d
    # On no device, as weights of their own would be drawn from the random stream.
    if isinstance(layer, nn.Linear):
        ones = nn.Linear(layer.in_features, layer.out_features, bias=False, device="meta")
    else:
        ones = nn.Conv2d(
            layer.in_channels,
            layer.out_channels,
            (layer.kernel_size[0], layer.kernel_size[1]),
            stride=(layer.stride[0], layer.stride[1]),
            padding=layer.padding if isinstance(layer.padding, str) else (layer.padding[0], layer.padding[1]),
            dilation=(layer.dilation[0], layer.dilation[1]),
            groups=layer.groups,
            bias=False,
            device="meta",
        )
    weight = layer.weight.detach()
    ones.weight = nn.Parameter((weight != 0 if pruned else torch.ones_like(weight)).double(), requires_grad=False)
    return ones


def _device(layers: nn.Module) -> torch.device:
    return next(layers.parameters()).device


@contextmanager
def _watched(sources: Sequence[Neurons | RateCode]) -> Iterator[dict[nn.Module, Tensor]]:
    """Adds up, while the context lasts, what each of ``sources`` gives over the time steps: ``[n, ...]`` float64."""
    seen: dict[nn.Module, Tensor] = {}

    def keep(module: nn.Module, inputs: Any, output: Tensor) -> None:
        assert isinstance(module, Neurons | RateCode)  # noqa: S101  # the hook stands on no other
        seen[module] = torch.unflatten(output.double(), 0, (module.steps, -1)).sum(dim=0)

    with ExitStack() as stack:
        for source in sources:
            stack.callback(source.register_forward_hook(keep).remove)
        yield seen


def _first_layer_macs(first: Stretch, shape: Sequence[int]) -> int:
    return 0 if first.source is not None else count_flops(nn.Sequential(*first.layers), shape) // 2
