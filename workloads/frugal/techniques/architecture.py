"""A network of the layers that its options name: what a search varies, and what trains its winner.

A chain of the kind of `frugal.models`, so that other techniques can prune, quantize or replace parts of it. Separable
convolutions, one filter a channel and then a mix of the channels, need about a k-th of k² of a convolution's operations
(Howard et al., "MobileNets: Efficient Convolutional Neural Networks for Mobile Vision Applications", 2017). The first
convolution stays whole, since there are no channels yet to keep apart. No batch normalisation: see `frugal.models`.

What must hold: every permitted setting builds a network for images of any size.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from torch import nn

from frugal.costs.flops import measure
from frugal.errors import TechniqueError
from frugal.methods import activations
from frugal.models import SpatialMean
from frugal.run import Run
from frugal.technique import Claim, Stage, Technique, Value

CNN = "cnn"
MLP = "mlp"
KINDS = (CNN, MLP)
MOST_LAYERS = 12
MOST_UNITS = 4096


@dataclass(frozen=True)
class Architecture(Technique):
    """Builds a network in the place of ``--model``; the defaults have the layers of the model ``cnn``.

    Attributes:
        kind: cnn or mlp.
        widths: Channels of each convolution, or units of each hidden layer: ``16-32-64`` is three of them.
        strides: Of each convolution, 1 or 2: ``1-2-1``; without it, 2 for all but the first. Not for an mlp.
        kernel: Edge of the filters, odd. Not for an mlp.
        separable: Convolutions after the first as one filter a channel and a mix. Not for an mlp.
        activation: Between the layers: relu, leaky-relu, relu6, hardswish, gelu, silu or prelu.
        dropout: Share of the last layer's inputs that are dropped in training.
    """

    kind: str = CNN
    widths: str = "16-32-64"
    strides: str = ""
    kernel: int = 3
    separable: bool = False
    activation: str = "relu"
    dropout: float = 0.1

    name = "architecture"
    stage = Stage.ARCHITECTURE
    claims = frozenset({Claim.MODEL})

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise _wrong("kind", self.kind, f"use one of {', '.join(KINDS)}")
        if self.activation not in activations.KINDS:
            raise _wrong("activation", self.activation, f"use one of {', '.join(activations.KINDS)}")
        if not 0 <= self.dropout < 1:
            raise _wrong("dropout", self.dropout, "use a share from 0 to below 1")
        if self.kernel < 1 or self.kernel % 2 == 0:
            raise _wrong("kernel", self.kernel, "use an odd number such as 3, so that filters have a centre")
        _numbers("widths", self.widths, MOST_UNITS)
        if self.kind == MLP and (self.strides or self.separable or self.kernel != 3):
            raise _wrong("kind", self.kind, "strides, kernel and separable are for kind=cnn: leave them out")
        if self.strides and len(_numbers("strides", self.strides, 2)) != len(self.layer_widths):
            raise _wrong("strides", self.strides, f"name as many strides as widths={self.widths} has layers")

    @property
    def layer_widths(self) -> list[int]:
        """Channels or units of each hidden layer."""
        return _numbers("widths", self.widths, MOST_UNITS)

    @property
    def layer_strides(self) -> list[int]:
        """Stride of each convolution."""
        layers = len(self.layer_widths)
        return _numbers("strides", self.strides, 2) if self.strides else [1] + [2] * (layers - 1)

    def build(self, shape: tuple[int, int, int], classes: int) -> nn.Sequential:
        """A new network with random weights from torch's current seed, for images of ``shape`` (channels first)."""
        hidden = self._convolutions(shape[0]) if self.kind == CNN else self._linears(math.prod(shape))
        return nn.Sequential(*hidden, nn.Dropout(self.dropout), nn.Linear(self.layer_widths[-1], classes))

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.build_model`."""
        return self.build(run.data.shape, run.data.classes)

    def results(self, run: Run) -> Mapping[str, Value]:
        """What the network costs, as it is trained."""
        cost = measure(run.model, run.data.shape)
        return {"parameters": cost.parameters, "bytes": cost.bytes, "flops": cost.flops}

    def _convolutions(self, channels: int) -> list[nn.Module]:
        layers: list[nn.Module] = []
        for width, stride in zip(self.layer_widths, self.layer_strides, strict=True):
            if self.separable and layers:
                layers += [self._convolution(channels, channels, stride, groups=channels), self._active()]
                layers += [nn.Conv2d(channels, width, kernel_size=1), self._active()]
            else:
                layers += [self._convolution(channels, width, stride), self._active()]
            channels = width
        return [*layers, SpatialMean()]

    def _convolution(self, inputs: int, outputs: int, stride: int, groups: int = 1) -> nn.Conv2d:
        # Padded so that a stride of 1 keeps the size and no stride makes it vanish.
        return nn.Conv2d(inputs, outputs, self.kernel, stride=stride, padding=self.kernel // 2, groups=groups)

    def _linears(self, units: int) -> list[nn.Module]:
        layers: list[nn.Module] = [nn.Flatten()]
        for width in self.layer_widths:
            layers += [nn.Linear(units, width), self._active()]
            units = width
        return layers

    def _active(self) -> nn.Module:
        return activations.KINDS[self.activation]()


def _numbers(option: str, text: str, most: int) -> list[int]:
    words = text.split("-")
    numbers = [int(word) for word in words if word.isdecimal() and 1 <= int(word) <= most]
    if len(numbers) != len(words) or len(numbers) > MOST_LAYERS:
        raise _wrong(option, text, f"use at most {MOST_LAYERS} whole numbers from 1 to {most}, such as 1-2")
    return numbers


def _wrong(option: str, value: object, remedy: str) -> TechniqueError:
    return TechniqueError(f"architecture: {option}={value!r}: {remedy}")
