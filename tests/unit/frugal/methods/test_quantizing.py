"""Integers stand for the numbers they were made of, and layers compute with them what arithmetic says they should."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frugal.costs.flops import stored_bytes
from frugal.methods import quantizing
from frugal.methods.quantizing import (
    Int8,
    Scale,
    WeightOnly,
    eligible,
    followers,
    in_float,
    quantized_weight,
    reach_of,
    scale_of,
    weight_scales,
    with_integers,
)

LAYERS: dict[str, tuple[Any, tuple[int, ...]]] = {
    "linear": (lambda: nn.Linear(24, 7), (5, 24)),
    "linear on tokens": (lambda: nn.Linear(24, 7, bias=False), (2, 3, 24)),
    "convolution": (lambda: nn.Conv2d(6, 8, kernel_size=3, stride=2, padding=1), (4, 6, 9, 9)),
    "grouped": (lambda: nn.Conv2d(6, 6, kernel_size=3, padding=2, dilation=2, groups=6, bias=False), (4, 6, 9, 9)),
}


def _layer(kind: str) -> tuple[nn.Linear | nn.Conv2d, Tensor]:
    torch.manual_seed(0)
    make, shape = LAYERS[kind]
    return make(), torch.randn(shape)


def _scale(values: Tensor) -> Scale:
    step, zero = scale_of(reach_of(values), 255)
    return Scale(step.item(), int(zero.item()))


def _grid(values: Tensor, scale: Scale) -> Tensor:
    """``values`` as the integers stand for them."""
    return ((values / scale.step).round() + scale.zero).clamp(0, 255).sub(scale.zero) * scale.step


@torch.no_grad()
def _by_hand(layer: nn.Linear | nn.Conv2d, inputs: Tensor) -> Tensor:
    """What the layer gives for rounded inputs and weights, in float."""
    rounded = copy.deepcopy(layer)
    scales = weight_scales(layer.weight)
    integers = quantized_weight(layer.weight, scales)
    rounded.weight.copy_(integers * scales.view(-1, *[1] * (integers.dim() - 1)))
    outputs: Tensor = rounded(_grid(inputs, _scale(inputs)))
    return outputs


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("kind", LAYERS)
def test_integer_layers_give_what_their_integers_stand_for(kind: str, dynamic: bool, relu: bool) -> None:
    layer, inputs = _layer(kind)
    wanted = _by_hand(layer, inputs)
    given = Int8(layer, None if dynamic else _scale(inputs), relu=relu)(inputs)
    torch.testing.assert_close(given, wanted.relu() if relu else wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("kind", LAYERS)
def test_integers_are_near_the_float_layer(kind: str) -> None:
    layer, inputs = _layer(kind)
    with torch.no_grad():
        wanted = layer(inputs)
    error = (Int8(layer, _scale(inputs))(inputs) - wanted).abs().max()
    assert 0 < error < 0.02 * wanted.abs().max()


def _chain() -> tuple[nn.Sequential, Tensor, dict[str, Tensor]]:
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 8, kernel_size=3),
        nn.ReLU(),
        nn.Dropout2d(),
        nn.Conv2d(8, 4, kernel_size=3),
        nn.ReLU(),
        nn.Flatten(),
        nn.Dropout(),
        nn.Linear(64, 10),
        nn.Tanh(),
        nn.Linear(10, 3),
    )
    model.eval()
    inputs, reaches, values = torch.randn(20, 3, 8, 8), {}, torch.empty(0)
    values = inputs
    with torch.no_grad():
        for name, layer in model.named_children():
            reaches[name] = reach_of(values)
            values = layer(values)
    return model, inputs, reaches


def _integers(model: nn.Module) -> list[Int8]:
    return [module for module in model.modules() if isinstance(module, Int8)]


def test_followers_are_found_as_far_as_a_plain_sequence_tells() -> None:
    model, _, _ = _chain()
    found = {name: (after.relu, after.dropouts, after.layer) for name, after in followers(model).items()}
    assert found == {
        "0": ("1", ("2",), "3"),
        "3": ("4", ("6",), "7"),
        "7": ("", (), ""),
        "9": ("", (), ""),
    }


def test_integers_between_layers_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A chain whose layers hand on integers answers as one whose layers round what floats they get."""
    model, inputs, reaches = _chain()
    handed_on = with_integers(model, reaches)
    monkeypatch.setattr(
        quantizing, "followers", lambda model: {name: quantizing.After() for name, _ in eligible(model)}
    )
    apart = with_integers(model, reaches)
    assert [layer.outputs is not None for layer in _integers(handed_on)] == [True, True, False, False]
    assert all(layer.outputs is None for layer in _integers(apart))
    handed_on.eval()
    torch.testing.assert_close(handed_on(inputs), apart(inputs), rtol=1e-4, atol=1e-4)


def test_without_vnni_integers_have_7_bits_and_stay_near(monkeypatch: pytest.MonkeyPatch) -> None:
    model, inputs, reaches = _chain()
    full = with_integers(model, reaches)
    monkeypatch.setattr(quantizing, "activation_levels", lambda: 127)
    half = with_integers(model, reaches)
    for coarse, fine in zip(_integers(half), _integers(full), strict=True):
        assert coarse.inputs is not None
        assert fine.inputs is not None
        assert coarse.inputs.step == pytest.approx(fine.inputs.step * 255 / 127)
    with torch.no_grad():
        assert (half.eval()(inputs) - model(inputs)).abs().max() < 0.05


def test_zero_is_exact_wherever_numbers_lie() -> None:
    for values in (torch.tensor([3.0, 5.0]), torch.tensor([-5.0, -3.0]), torch.tensor([-1.0, 9.0]), torch.zeros(2)):
        scale = _scale(values)
        assert _grid(torch.zeros(1), scale).item() == 0
        torch.testing.assert_close(_grid(values, scale), values, rtol=0, atol=0.51 * scale.step)


@pytest.mark.parametrize("bits", [8, 4])
@pytest.mark.parametrize("kind", LAYERS)
def test_stored_weights_are_at_most_half_a_step_off_and_zeros_stay(kind: str, bits: int) -> None:
    layer, inputs = _layer(kind)
    with torch.no_grad():
        layer.weight[0] = 0
        layer.weight[1, 0] = 0
    stored = WeightOnly(layer, bits)
    weights = stored.dequantized()
    steps = layer.weight.flatten(1).abs().amax(dim=1) / quantizing.LARGEST[bits]
    assert ((weights - layer.weight).flatten(1).abs().amax(dim=1) <= steps / 2 + 1e-6).all()
    assert (weights[layer.weight == 0] == 0).all()
    with torch.no_grad():
        wanted = layer(inputs)
        layer.weight.copy_(weights)
        torch.testing.assert_close(stored(inputs), layer(inputs))
    assert not torch.equal(stored(inputs), wanted)


def test_bytes_that_are_stored() -> None:
    layer = nn.Linear(128, 64)
    weights, vectors = 128 * 64, 4 * 64
    assert stored_bytes(Int8(layer)) == stored_bytes(WeightOnly(layer, 8)) == weights + 2 * vectors  # scales and bias
    assert stored_bytes(WeightOnly(layer, 4)) == weights // 2 + vectors + 4 * weights // quantizing.GROUP


def test_what_is_not_a_plain_layer_with_its_own_weights_stays_in_float() -> None:
    class Scaled(nn.Linear):
        pass

    shared = nn.Linear(4, 4)
    tied = nn.Linear(4, 4)
    tied.weight = nn.Linear(4, 4).weight
    other = nn.Linear(4, 4)
    other.weight = tied.weight
    model = nn.ModuleDict(
        {
            "plain": nn.Linear(4, 4),
            "image": nn.Conv2d(1, 1, kernel_size=1),
            "derived": Scaled(4, 4),
            "twice": nn.Sequential(shared, shared),
            "tied": nn.ModuleList([tied, other]),
            "reflecting": nn.Conv2d(1, 1, kernel_size=3, padding=1, padding_mode="reflect"),
            "same": nn.Conv2d(1, 1, kernel_size=3, padding="same"),
            "line": nn.Conv1d(1, 1, kernel_size=1),
            "norm": nn.BatchNorm1d(4),
        }
    )
    assert [name for name, _ in eligible(model)] == ["plain", "image"]
    assert in_float(model) == ["derived", "twice.0", "tied.0", "tied.1", "reflecting", "same", "line", "norm"]


def test_integer_models_can_be_copied_pickled_and_loaded() -> None:
    model, inputs, reaches = _chain()
    deployed = with_integers(model, reaches).eval()
    answers = deployed(inputs)
    for copied in (copy.deepcopy(deployed), pickle.loads(pickle.dumps(deployed))):  # noqa: S301
        assert torch.equal(copied(inputs), answers)
    fresh = with_integers(copy.deepcopy(model).apply(_redrawn), reaches).eval()
    fresh.load_state_dict(deployed.state_dict())
    assert torch.equal(fresh(inputs), answers)


def _redrawn(module: nn.Module) -> None:
    if isinstance(module, nn.Linear | nn.Conv2d):
        module.reset_parameters()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:invalid escape sequence")  # in torchao's docstrings
def test_weights_become_the_integers_that_torchao_makes() -> None:
    from torchao.quantization import PerRow  # type: ignore[import-untyped]
    from torchao.quantization.quantize_.workflows import Int8Tensor  # type: ignore[import-untyped]

    layer, _ = _layer("linear")
    theirs = Int8Tensor.from_hp(layer.weight.detach(), granularity=PerRow())
    scales = weight_scales(layer.weight)
    ours = quantized_weight(layer.weight, scales)
    # Theirs spreads the largest weight over 127.5 steps, ours over 127.
    assert (ours - theirs.qdata).abs().max() <= 1
    torch.testing.assert_close(scales, theirs.scale.flatten(), rtol=0.005, atol=0)
