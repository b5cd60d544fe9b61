"""Layers in 8 and 4 bits: how numbers become integers, and layers that compute with them or are stored as such.

Integers stand for ``scale * (q - zero)`` (Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", 2018). Weights have a scale for each output unit and no zero point (Krishnamoorthi,
"Quantizing deep convolutional networks for efficient inference: A whitepaper", 2018), so a weight of zero stays zero;
what flows between layers has one scale for the whole tensor. Each layer takes and gives float, so it fits into any
model; where a plain sequence tells which layer comes next, integers are handed on instead.

Why oneDNN's integer kernels, called as they are (``torch.ops.onednn``), and not torchao's ``quantize_``: without a
compiler, torchao has no integer convolution on the CPU, its integer linear layers are slower than float ones unless
they are wide, and of its int4 weights those that a CPU takes in float32 are stored in a byte each. These are the
kernels in which torchao's export path (pt2e) ends, and that needs a compiler wherever the model is deployed.
``torch.ao.quantization`` is deprecated, and so are the quantized tensors that it works on.

On one AVX512-VNNI core, in processor time, batches of 512 images of 28x28 pixels took (milliseconds; "wide" has layers
of 1024 units):

====  =====  ==============  =============  ============
..    float  torchao, dyn.   here, dynamic  here, static
====  =====  ==============  =============  ============
mlp     1.2             4.0            1.1           0.7
cnn     129             129             84            21
wide     24              12            9.6           7.7
====  =====  ==============  =============  ============

One image at a time, small layers are slower than in float: calling a kernel costs more than it does.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

Layer = nn.Linear | nn.Conv2d

GROUP = 32  # weights that share a scale in 4 bits
FULL = 255
LARGEST = {8: 127, 4: 7}  # symmetric, so that weights need no zero point
DROPOUTS = (nn.Dropout, nn.Dropout2d)
CPU = torch.device("cpu")


class Scale(NamedTuple):
    """What an integer from 0 on stands for: ``step * (q - zero)``."""

    step: float
    zero: int


def eligible(model: nn.Module) -> Iterator[tuple[str, Layer]]:
    """The layers that can become integers: plain linear layers and convolutions of images that share no weights."""
    places = list(model.named_modules(remove_duplicate=False))
    users = Counter(id(weight) for _, module in places if (weight := getattr(module, "weight", None)) is not None)
    for name, module in places:
        # Not what is derived from them: it may compute its weights from others.
        plain = type(module) is nn.Linear or (type(module) is nn.Conv2d and _pads_zeros(module))
        if plain and users[id(module.weight)] == 1:
            yield name, module


@dataclass(frozen=True)
class After:
    """What follows a layer in a plain sequence of modules.

    Attributes:
        relu: The name of the ReLU that the results go into; empty without.
        dropouts: The names of those that lie between, which a trained model does without.
        layer: The name of the eligible layer that comes next; empty if something else does.
    """

    relu: str = ""
    dropouts: tuple[str, ...] = ()
    layer: str = ""


def followers(model: nn.Module) -> dict[str, After]:
    """What follows each eligible layer, as far as can be told."""
    found = {name: After() for name, _ in eligible(model)}
    for path, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
            steps = [(f"{path}.{key}" if path else key, step) for key, step in module._modules.items()]
            for place, (name, _) in enumerate(steps):
                if name in found:
                    found[name] = _after(steps[place + 1 :], found)
    return found


def _after(steps: Sequence[tuple[str, nn.Module | None]], layers: Container[str]) -> After:
    relu = steps[0][0] if steps and type(steps[0][1]) is nn.ReLU else ""
    dropouts: list[str] = []
    for name, step in steps[1:] if relu else steps:
        if name in layers:
            return After(relu, tuple(dropouts), name)
        if type(step) in DROPOUTS:
            dropouts.append(name)
        elif type(step) not in (nn.Flatten, nn.Identity):
            break
    return After(relu)


def with_modules(model: nn.Module, others: Mapping[str, nn.Module]) -> nn.Module:
    """A copy of ``model`` with ``others`` in their named places."""
    if "" in others:
        return others[""]
    changed = copy.deepcopy(model)
    for name, module in others.items():
        parent, _, key = name.rpartition(".")
        changed.get_submodule(parent)._modules[key] = module
    return changed


def in_float(model: nn.Module) -> list[str]:
    """The names of layers with weights that are not `eligible`."""
    whole = {name for name, _ in eligible(model)}
    return [
        name
        for name, module in model.named_modules()
        if name not in whole and next(module.parameters(recurse=False), None) is not None
    ]


@cache
def activation_levels() -> int:
    """The largest integer for what flows between layers.

    `FULL`, or half of it on an x86 processor without VNNI: its sums of products of 8 bits overflow their 16 bits.
    """
    capabilities = torch.cpu.get_capabilities()
    if capabilities.get("architecture") != "x86_64" or capabilities.get("avx512_vnni") or capabilities.get("avx_vnni"):
        return FULL
    return FULL // 2


def scale_of(reach: Tensor, levels: int) -> tuple[Tensor, Tensor]:
    """Step (float32) and zero (int32) for numbers from ``-reach[0]`` to ``reach[1]``; zero is always among them."""
    below, above = reach.float().clamp_min(0)
    step = ((below + above) / levels).clamp_min(torch.finfo(torch.float32).eps)
    return step, (below / step).round().clamp(0, levels).to(torch.int32)


def reach_of(values: Tensor) -> Tensor:
    """How far ``values`` reach from zero: ``[below, above]``, both positive."""
    low, high = values.detach().float().aminmax()
    return torch.stack([-low, high]).clamp_min(0)


def weight_scales(weight: Tensor, bits: int = 8) -> Tensor:
    """The step ``[units]`` of each output unit's weights, of which the largest in magnitude is kept exactly."""
    largest = weight.detach().float().flatten(1).abs().amax(dim=1)
    return (largest / LARGEST[bits]).clamp_min(torch.finfo(torch.float32).eps)


def quantized_weight(weight: Tensor, scales: Tensor, bits: int = 8) -> Tensor:
    """``[units, …]`` int8: the nearest integers."""
    per_unit = scales.view(-1, *[1] * (weight.dim() - 1))
    return (weight.detach().float() / per_unit).round().clamp(-LARGEST[bits], LARGEST[bits]).to(torch.int8)


def with_integers(model: nn.Module, reaches: Mapping[str, Tensor] | None) -> nn.Module:
    """A copy of ``model`` whose eligible layers multiply integers, ReLUs included where they follow directly.

    Args:
        model: In float.
        reaches: How far the numbers reach that come into a layer, ``[below, above]``; a layer of which that is not
            known stays in float. None: all layers find it anew for each batch.
    """
    levels = activation_levels()
    scales = {}
    for name, reach in (reaches or {}).items():
        step, zero = scale_of(reach, levels)
        scales[name] = Scale(step.item(), int(zero.item()))
    layers, after = dict(eligible(model)), followers(model)
    others: dict[str, nn.Module] = {}
    for name, layer in layers.items():
        if reaches is not None and name not in scales:
            continue
        follower = after[name]
        # A kernel's results fill all 8 bits: with fewer levels they are rounded by the layer that takes them.
        outputs = scales.get(follower.layer) if levels == FULL else None
        others[name] = Int8(layer, scales.get(name), outputs, relu=bool(follower.relu))
        gone = (follower.relu, *(() if outputs is None else follower.dropouts))
        others |= {other: nn.Identity() for other in gone if other}
    return with_modules(model, others)


class Int8(nn.Module):
    """A linear or convolutional layer that multiplies integers, on the CPU.

    The kernels keep a copy of the weights in an order of their own, made on first use; what is stored is buffers:
    ``weight`` int8, ``scales`` and ``bias`` float32.

    Args:
        layer: The float layer.
        inputs: The scale of what comes in; without it, it is found anew for each batch (dynamic).
        outputs: The scale of what goes out, as integers, to the layer that takes them; without it, floats go out.
        relu: Whether negative results become zero.
    """

    def __init__(
        self, layer: Layer, inputs: Scale | None = None, outputs: Scale | None = None, *, relu: bool = False
    ) -> None:
        super().__init__()
        scales = weight_scales(layer.weight)
        self.weight: Tensor
        self.register_buffer("weight", quantized_weight(layer.weight, scales).to(CPU))
        self.scales: Tensor
        self.register_buffer("scales", scales.to(CPU))
        self.bias: Tensor | None
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().float().to(CPU))
        self.inputs, self.outputs, self.relu = inputs, outputs, relu
        self.geometry = _geometry(layer)
        self._packed: tuple[Tensor, Tensor] | None = None

    def forward(self, inputs: Tensor) -> Tensor:
        """Float, or integers of the scale ``inputs``, to float32, or integers of the scale ``outputs``."""
        if self._packed is None:
            self._packed = self._pack(), torch.zeros_like(self.scales, dtype=torch.int32)
        packed, zeros = self._packed
        step, zero = self.inputs or scale_of(reach_of(inputs), activation_levels())
        out_step, out_zero = self.outputs or (1.0, 0)
        integers = inputs if inputs.dtype == torch.uint8 else _rounded(inputs.float(), step, zero)
        weights = (packed, self.scales, zeros, self.bias)
        out_type = torch.float32 if self.outputs is None else torch.uint8
        last: tuple[Any, ...] = (out_step, out_zero, out_type, "relu" if self.relu else "none", [], "")
        if self.geometry is None:
            linear: Tensor = torch.ops.onednn.qlinear_pointwise(integers, step, zero, *weights, *last)
            return linear
        convolved: Tensor = torch.ops.onednn.qconv_pointwise(integers, step, zero, *weights, *self.geometry, *last)
        return convolved

    def extra_repr(self) -> str:
        """For ``print``."""
        return f"{tuple(self.weight.shape)}, inputs={self.inputs}, outputs={self.outputs}, relu={self.relu}"

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_packed": None}  # made again where the layer arrives

    def _pack(self) -> Tensor:
        if self.geometry is None:
            linear: Tensor = torch.ops.onednn.qlinear_prepack(self.weight, None)
            return linear
        step, zero = self.inputs or (1.0, 0)
        packed: Tensor = torch.ops.onednn.qconv_prepack(self.weight, self.scales, step, zero, *self.geometry, None)
        return packed


class WeightOnly(nn.Module):
    """A linear or convolutional layer that is stored in 8 or 4 bits and computes in float, wherever its buffers are.

    In 8 bits each output unit has a scale; in 4 bits, which are packed two in a byte, each `GROUP` of a unit's weights.

    Args:
        layer: The float layer.
        bits: 8 or 4.
    """

    def __init__(self, layer: Layer, bits: int) -> None:
        super().__init__()
        self.shape, self.bits = layer.weight.shape, bits
        rows = layer.weight.detach().flatten(1)
        if bits == 4:
            # One group where a unit has fewer weights than that; a group has an even number of them.
            self.group = min(GROUP, rows.shape[1] + rows.shape[1] % 2)
            rows = functional.pad(rows, (0, -rows.shape[1] % self.group)).view(-1, self.group)
        scales = weight_scales(rows, bits)
        integers = quantized_weight(rows, scales, bits)
        self.weight: Tensor
        self.register_buffer("weight", integers if bits == 8 else _pack(integers))
        self.scales: Tensor
        self.register_buffer("scales", scales)
        self.bias: Tensor | None
        self.register_buffer("bias", None if layer.bias is None else layer.bias.detach().clone())
        self.geometry = _geometry(layer)

    def forward(self, inputs: Tensor) -> Tensor:
        """As the float layer does."""
        weight = self.dequantized().to(inputs.dtype)
        if self.geometry is None:
            return functional.linear(inputs, weight, self.bias)
        stride, padding, dilation, groups = self.geometry
        return functional.conv2d(inputs, weight, self.bias, stride, padding, dilation, groups)

    def dequantized(self) -> Tensor:
        """The weights that it computes with, in the float layer's shape."""
        integers = self.weight if self.bits == 8 else _unpack(self.weight)
        rows = (integers * self.scales[:, None]).view(self.shape[0], -1)
        return rows[:, : self.shape[1:].numel()].reshape(self.shape)


def _rounded(values: Tensor, step: float | Tensor, zero: int | Tensor) -> Tensor:
    """The nearest integers, uint8."""
    half_more = torch.as_tensor(zero + 0.5, dtype=torch.float32)  # as conversion cuts off
    shifted = values.div(step).add_(half_more) if isinstance(step, Tensor) else half_more.add(values, alpha=1 / step)
    return shifted.clamp_(0, activation_levels()).to(torch.uint8)


def _geometry(layer: Layer) -> tuple[list[int], list[int], list[int], int] | None:
    """Stride, padding, dilation and groups of a convolution."""
    if isinstance(layer, nn.Linear):
        return None
    assert not isinstance(layer.padding, str)  # noqa: S101  # `eligible` leaves those out
    return list(layer.stride), list(layer.padding), list(layer.dilation), layer.groups


def _pads_zeros(layer: nn.Conv2d) -> bool:
    return layer.padding_mode == "zeros" and not isinstance(layer.padding, str)


def _pack(integers: Tensor) -> Tensor:
    """``[…, 2 n]`` from -8 to 7 as ``[…, n]`` uint8."""
    nibbles = (integers + 8).to(torch.uint8)
    return nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)


def _unpack(packed: Tensor) -> Tensor:
    """What `_pack` packed."""
    return torch.stack([packed & 15, packed >> 4], dim=-1).flatten(-2).to(torch.int8) - 8
