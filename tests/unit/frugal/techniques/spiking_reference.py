"""A spiking network once more, slowly: step by step, neuron by neuron, synapse by synapse."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import torch
from torch import Tensor, nn

from frugal.methods.spiking import MeanOverTime, Neurons, RateCode


@dataclass
class Slow:
    """What one example did.

    Attributes:
        outputs: The mean over time of what arrived at the last layer.
    """

    outputs: Tensor = field(default_factory=lambda: torch.zeros(0))
    spikes: int = 0
    input_spikes: int = 0
    operations: int = 0


@torch.no_grad()
def run_slowly(network: nn.Sequential, example: Tensor) -> Slow:
    """``network`` on one ``example`` without a batch dimension: time steps outside, layers inside."""
    slow = Slow()
    membranes: dict[nn.Module, Tensor] = {}
    sums: list[Tensor] = []
    steps = next(module.steps for module in network if isinstance(module, Neurons))
    for step in range(steps):
        values = example[None]
        spiking = False  # whether what goes into the next layer are spikes
        for position, module in enumerate(network):
            if isinstance(module, RateCode):
                values, spiking = module(example[None])[step : step + 1], True
                slow.input_spikes += int(values.sum())
                slow.operations += _operations(network, position, values[0])
            elif isinstance(module, Neurons):
                values, spiking = _neurons(module, membranes, values), True
                slow.spikes += int(values.sum())
                slow.operations += _operations(network, position, values[0])
            elif isinstance(module, MeanOverTime):
                sums.append(values)
            else:
                values = module(values)
        assert spiking
    slow.outputs = torch.stack(sums).mean(dim=0)[0]
    return slow


def _neurons(module: Neurons, membranes: dict[nn.Module, Tensor], currents: Tensor) -> Tensor:
    beta, threshold = float(module.cell.beta), float(module.cell.threshold)
    before = membranes.get(module, torch.zeros_like(currents))
    membranes[module] = beta * before + currents - threshold * (before > threshold)
    return (membranes[module] > threshold).float()


def _operations(network: nn.Sequential, position: int, spikes: Tensor) -> int:
    """Synapses that ``spikes`` go through in the next layer with weights."""
    rest = list(network)[position + 1 :]
    layer = next(module for module in rest if isinstance(module, nn.Linear | nn.Conv2d))
    if isinstance(layer, nn.Conv2d):
        return int((spikes * synapses_of(layer, spikes.shape)).sum())
    per_input = (layer.weight != 0).sum(dim=0)
    units = spikes.flatten() if spikes.numel() == layer.in_features else spikes.sum(dim=(1, 2))
    return int((units * per_input).sum())


def synapses_of(layer: nn.Conv2d, shape: torch.Size) -> Tensor:
    """How many sums of ``layer`` each input of ``shape`` goes into: tap by tap at each place of the filters."""
    synapses = torch.zeros(shape, dtype=torch.int64)
    own, units = layer.in_channels // layer.groups, layer.out_channels // layer.groups
    taps = list(product(range(layer.kernel_size[0]), range(layer.kernel_size[1])))
    for down, right in product(range(_outputs(layer, shape[1], 0)), range(_outputs(layer, shape[2], 1))):
        for tap_row, tap_column in taps:
            row = down * layer.stride[0] - int(layer.padding[0]) + tap_row * layer.dilation[0]
            column = right * layer.stride[1] - int(layer.padding[1]) + tap_column * layer.dilation[1]
            if not (0 <= row < shape[1] and 0 <= column < shape[2]):
                continue
            for group in range(layer.groups):
                there = layer.weight[group * units : (group + 1) * units, :, tap_row, tap_column] != 0
                synapses[group * own : (group + 1) * own, row, column] += there.sum(dim=0)
    return synapses


def _outputs(layer: nn.Conv2d, size: int, axis: int) -> int:
    reach = layer.dilation[axis] * (layer.kernel_size[axis] - 1) + 1
    return (size + 2 * int(layer.padding[axis]) - reach) // layer.stride[axis] + 1
