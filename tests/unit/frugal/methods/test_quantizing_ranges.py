"""A simulated model answers as the quantized one will, and reaches are those of the examples that were looked at."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn

from frugal import models
from frugal.data import TensorExamples
from frugal.methods.quantizing import with_integers
from frugal.methods.quantizing_ranges import MOMENTUM, Simulation, calibrated

SHAPE = (1, 8, 8)
CPU = torch.device("cpu")


def _examples(count: int = 600) -> TensorExamples:
    torch.manual_seed(3)
    return TensorExamples(torch.randn(count, *SHAPE), torch.zeros(count, dtype=torch.int64))


def _alone(values: Tensor) -> Tensor:
    return values


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_simulated_model_answers_as_the_quantized_one(name: str) -> None:
    torch.manual_seed(0)
    model, examples = models.build(name, SHAPE, 4).eval(), _examples()
    simulation = Simulation()
    simulation.reaches = calibrated(model, examples, torch.arange(100), CPU)
    deployed = with_integers(model, simulation.reaches)
    with torch.no_grad():
        plain = model(examples.inputs)
        simulation.install(model)
        simulation.active = True
        simulated = model(examples.inputs)
    error = (simulated - plain).abs().max()
    # Where sums of another order fall on the other side of a rounding, an integer differs.
    assert (deployed(examples.inputs) - simulated).abs().max() < error / 2
    assert (deployed(examples.inputs) - simulated).abs().mean() < error / 100


def test_inactive_or_removed_it_changes_nothing() -> None:
    model, inputs = models.build("cnn", SHAPE, 4).eval(), _examples(5).inputs
    simulation = Simulation()
    plain = model(inputs)
    before = {name: tuple(vars(module)) for name, module in model.named_modules()}
    simulation.install(model)
    assert torch.equal(model(inputs), plain)
    simulation.active = True
    copied = copy.deepcopy(model)
    assert not torch.equal(model(inputs), plain)
    for one in (model, copied):
        simulation.remove_from(one)
        assert torch.equal(one(inputs), plain)
        assert {name: tuple(vars(module)) for name, module in one.named_modules()} == before


def test_a_copy_computes_with_its_own_weights() -> None:
    model, inputs = models.build("mlp", SHAPE, 4).eval(), _examples(5).inputs
    simulation = Simulation()
    simulation.active = True
    simulation.install(model)
    copied = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in copied.parameters():
            parameter.zero_()
    assert not copied(inputs).any()
    assert model(inputs).any()


def test_gradients_pass_as_if_nothing_were_rounded() -> None:
    layer = nn.Linear(3, 2)
    simulation = Simulation()
    simulation.install(layer)
    simulation.active = True
    simulation.reaches = {"": torch.tensor([1.0, 1.0])}
    inputs = torch.tensor([[0.3, -0.7, 5.0]], requires_grad=True)
    layer(inputs).sum().backward()
    assert inputs.grad is not None
    assert layer.weight.grad is not None
    assert inputs.grad[0, 2] == 0  # beyond the reach
    torch.testing.assert_close(inputs.grad[0, :2], layer.weight.detach().sum(dim=0)[:2], atol=0.01, rtol=0)
    torch.testing.assert_close(layer.weight.grad[0], torch.tensor([0.3, -0.7, 1.0]), atol=0.01, rtol=0)


def test_only_training_moves_reaches_and_parts_of_a_step_count_as_one() -> None:
    layer = nn.Linear(1, 1)
    simulation = Simulation()
    simulation.install(layer)
    simulation.active = True

    def step(*parts: float) -> Tensor:
        for part in parts:
            layer(torch.tensor([[part]]))
        simulation.end_step(_alone)
        return simulation.reaches[""]

    torch.testing.assert_close(step(-1.0, 4.0), torch.tensor([1.0, 4.0]))
    torch.testing.assert_close(step(2.0, -3.0), torch.tensor([1.0 + 2.0 * MOMENTUM, 4.0 - 2.0 * MOMENTUM]))
    known = simulation.reaches[""].clone()
    layer.eval()
    assert torch.equal(step(100.0), known)


def test_calibration_finds_the_largest_of_the_chosen_and_leaves_the_model() -> None:
    examples = _examples()
    examples.inputs[0], examples.inputs[599, 0, 0, 0], examples.inputs[1, 0, 0, 0] = 0.0, -50.0, 99.0
    model = models.build("mlp", SHAPE, 4).train()
    reaches = calibrated(model, examples, torch.tensor([0, *range(2, 600)]), CPU)
    assert reaches["1"][0] == 50
    assert reaches["1"][1] < 10
    assert list(reaches) == ["1", "4", "6"]
    assert reaches["4"][0] == 0  # after a ReLU
    assert all(module.training and not module._forward_pre_hooks for module in model.modules())
