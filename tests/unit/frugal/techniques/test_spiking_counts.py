"""Spikes and synaptic operations are counted right: by hand, and against a counter that goes one synapse at a time."""

from __future__ import annotations

import copy

import pytest
import torch
from snntorch import SpikingNeuron  # type: ignore[import-untyped]
from torch import Tensor, nn

from frugal import models
from frugal.costs.flops import count_flops
from frugal.errors import TechniqueError
from frugal.methods import spiking
from frugal.methods.spiking_counts import count, fan_out
from frugal.models import SpatialMean

from .spiking_reference import run_slowly, synapses_of

SHAPE = (2, 5, 4)


def tiny(beta: float, currents: list[float], steps: int = 4) -> nn.Sequential:
    """One input of 1 gives each neuron its current; three outputs."""
    first, last = nn.Linear(1, len(currents), bias=False), nn.Linear(len(currents), 3, bias=False)
    with torch.no_grad():
        first.weight.copy_(torch.tensor(currents)[:, None])
        last.weight.fill_(0.5)
    return spiking.convert(nn.Sequential(first, nn.ReLU(), last), steps=steps, beta=beta, threshold=1.0)


def network(name: str, *, coded: bool, steps: int = 3, seed: int = 0) -> nn.Sequential:
    """One of the models as a spiking network, lively: with large weights."""
    torch.manual_seed(seed)
    model = models.build(name, SHAPE, 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(3)
    return spiking.convert(model, steps, beta=0.8, threshold=0.7, inputs=(-2.0, 2.0) if coded else None).eval()


def inputs(examples: int) -> Tensor:
    return torch.randn(examples, *SHAPE, generator=torch.Generator().manual_seed(3))


def test_membranes_and_spikes_by_hand() -> None:
    # 0.6: 0.6, 1.2 (spike), 1.2 - 1 + 0.6 = 0.8, 1.4 (spike). 0.3: 0.3, 0.6, 0.9, 1.2 (spike). -1: never.
    model = tiny(1.0, [0.6, 0.3, -1.0])
    counts = count(model, torch.ones(1, 1))
    assert counts.spikes.tolist() == [3]
    assert counts.synaptic_operations.tolist() == [3 * 3]
    assert counts.sparsity == 1 - 3 / (3 * 4)
    assert (counts.neurons, counts.steps, counts.first_layer_macs) == (3, 4, 3)
    # Spikes of 0.5 each at the outputs: two, then one, over four steps.
    assert model(torch.ones(1, 1)).tolist() == [[3 * 0.5 / 4] * 3]


def test_leak_by_hand() -> None:
    # 0.6, then 0.3 + 0.6 = 0.9, then 0.45 + 0.6 = 1.05 (spike), then 0.525 + 0.6 - 1 = 0.125.
    assert count(tiny(0.5, [0.6]), torch.ones(1, 1)).spikes.tolist() == [1]


def test_weights_of_zero_are_no_synapses() -> None:
    model = tiny(1.0, [0.6, 0.3])
    last = model[2]
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        last.weight[0, 1] = 0
    assert count(model, torch.ones(1, 1)).synaptic_operations.tolist() == [2 * 3 + 1 * 2]


def test_borders_by_hand() -> None:
    part = spiking.Stretch(layers=(nn.Conv2d(1, 5, kernel_size=3, padding=1),), source=None)
    corner, edge, middle = 5 * 4, 5 * 6, 5 * 9
    expected = [[corner, edge, corner], [edge, middle, edge], [corner, edge, corner]]
    assert fan_out(part, (1, 3, 3)).tolist() == [expected]


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(2, 3, kernel_size=3, stride=2, padding=1),
        nn.Conv2d(4, 6, kernel_size=(3, 2), stride=(1, 2), padding=(2, 0), groups=2),
        nn.Conv2d(2, 2, kernel_size=2, dilation=2, padding=1),
        nn.Conv2d(3, 3, kernel_size=5, stride=3, groups=3),
    ],
    ids=["stride", "groups", "dilation", "gaps"],
)
def test_fan_out_of_convolutions_equals_that_of_a_slow_counter(layer: nn.Conv2d) -> None:
    with torch.no_grad():
        layer.weight[torch.rand(layer.weight.shape, generator=torch.Generator().manual_seed(0)) < 0.3] = 0
    shape = torch.Size((layer.in_channels, 6, 5))
    counted = fan_out(spiking.Stretch(layers=(layer,), source=None), shape)
    assert counted.tolist() == synapses_of(layer, shape).tolist()
    assert len(set(counted.flatten().tolist())) > 1


@pytest.mark.parametrize("coded", [False, True], ids=["direct", "rate"])
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_counts_and_outputs_equal_those_of_a_slow_network(name: str, coded: bool) -> None:
    model, examples = network(name, coded=coded), inputs(3)
    counts, outputs = count(model, examples), model(examples)
    for number, example in enumerate(examples):
        slow = run_slowly(model, example)
        assert slow.spikes > 20
        assert counts.spikes[number] == slow.spikes
        assert counts.input_spikes[number] == slow.input_spikes
        assert counts.synaptic_operations[number] == slow.operations
        assert torch.allclose(outputs[number], slow.outputs, atol=1e-5)
    assert bool(counts.input_spikes.any()) == coded


def test_if_all_neurons_always_spike_each_weight_is_used_in_each_step() -> None:
    torch.manual_seed(0)
    model = models.build("mlp", SHAPE, 4)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.abs_().add_(3)
    dense = count_flops(model, SHAPE) // 2
    counts = count(spiking.convert(model, steps=3, beta=1.0, threshold=1.0), torch.ones(2, *SHAPE))
    assert counts.sparsity == 0
    assert counts.first_layer_macs == 2 * 5 * 4 * 128
    assert counts.synaptic_operations.tolist() == [3 * (dense - counts.first_layer_macs)] * 2


def test_what_is_counted_of_an_example_does_not_depend_on_the_others() -> None:
    model, examples = network("mlp", coded=False), inputs(6)
    together = count(model, examples)
    apart = [count(model, example[None]) for example in examples]
    assert together.spikes.tolist() == [float(counts.spikes) for counts in apart]
    assert together.synaptic_operations.tolist() == [float(counts.synaptic_operations) for counts in apart]
    assert len(set(together.spikes.tolist())) > 1


def test_counting_leaves_the_network_as_it_is() -> None:
    model = network("mlp", coded=True).train()
    before = copy.deepcopy(model.state_dict())
    stream = torch.get_rng_state()
    count(model, inputs(2))
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), stream)
    assert all(module.training for module in model.modules())
    assert not any(module._forward_hooks for module in model.modules())


def test_no_batch_sees_another_and_nothing_of_it_stays() -> None:
    model = network("cnn", coded=False)
    first = model(inputs(4))
    model(inputs(9) + 1)
    assert torch.equal(model(inputs(4)), first)
    model.train()(inputs(4)).sum().backward()
    twin = copy.deepcopy(model)  # torch refuses where a graph is kept
    assert twin.state_dict().keys() == model.state_dict().keys()
    assert not any("mem" in name for name in model.state_dict())
    held = [module.cell.mem for module in model.modules() if isinstance(module, spiking.Neurons)]
    assert [mem.numel() for mem in held] == [0, 0, 0]
    assert not any(isinstance(module, nn.Module) for module in SpikingNeuron.instances)


def test_gradients_reach_every_weight_through_the_spikes() -> None:
    model = network("cnn", coded=False).train()
    model(inputs(8)).square().sum().backward()
    assert all(parameter.grad is not None and bool(parameter.grad.any()) for parameter in model.parameters())


def test_rate_code_spikes_as_often_as_inputs_are_large() -> None:
    code = spiking.RateCode(8, low=0.0, high=2.0)
    values = torch.tensor([[-1.0, 0.0, 0.5, 1.0, 2.0, 3.0]])
    even = code.eval()(values)
    assert even.sum(dim=0).tolist() == [0, 0, 2, 4, 8, 8]
    assert even[:, 3].tolist() == [1, 0, 1, 0, 1, 0, 1, 0]
    torch.manual_seed(0)
    drawn = code.train()(values.repeat(4000, 1))
    assert set(drawn.unique().tolist()) == {0, 1}
    rates = drawn.mean(dim=0)
    assert torch.allclose(rates, torch.tensor([0, 0, 0.25, 0.5, 1, 1]), atol=0.01)
    assert not torch.equal(drawn[:4000], drawn[4000:8000])  # each step draws anew


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 2)), "'1' .* follows '0' without a"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.ReLU(), nn.Linear(4, 2)), "'2' .* has no layer with weights"),
        (nn.Sequential(nn.Linear(4, 4), nn.GELU(), nn.Linear(4, 2)), "'1' .GELU. is not known to pass spikes on"),
        (nn.Sequential(nn.Conv2d(1, 2, 3), SpatialMean(), nn.ReLU(), nn.Linear(2, 2)), "'1' .* averages the sums"),
        (nn.Sequential(nn.Conv2d(1, 1, 3, padding_mode="reflect"), nn.ReLU()), "padding_mode='reflect'"),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU()), "needs an nn.ReLU .* and a layer with weights after"),
        (nn.Linear(4, 2), "needs an nn.ReLU"),
        (nn.TransformerEncoderLayer(4, 2, batch_first=True), "'0' .TransformerEncoderLayer. is not known"),
    ],
)
def test_refuses_what_is_no_chain(model: nn.Module, message: str) -> None:
    with pytest.raises(TechniqueError, match=message):
        spiking.convert(model, 2, 0.9, 1.0)


def test_synapses_of_unknown_layers_are_refused_not_guessed() -> None:
    with pytest.raises(TechniqueError, match="cannot be counted in Identity, Flatten"):
        fan_out(spiking.Stretch(layers=(nn.Identity(), nn.Flatten()), source=None), (4,))
