"""Networks of spiking neurons, made from a plain chain of layers with ReLUs, trained by surrogate gradients.

Each ReLU becomes a layer of leaky integrate-and-fire neurons (snntorch's `Leaky`): a neuron adds its inputs to its
membrane, loses a share of it from one time step to the next, and spikes when it is above the threshold. Outputs are
the mean over time of what the last layer adds up, so they stand where the dense network's outputs stood.

All time steps of a batch go through a layer at once, stacked along the batch: ``[steps * n, ...]``, the first step's
examples first. What must hold: no membrane outlives a forward pass, so batches do not see each other, a copy of a model
is whole, and there is nothing to save beside the weights; in evaluation nothing is drawn at random.

Neurons and gradient: Neftci et al., "Surrogate Gradient Learning in Spiking Neural Networks" (IEEE Signal Processing
Magazine 36, 2019); the derivative of an arctangent in place of the step's: Fang et al., "Incorporating Learnable
Membrane Time Constant" (ICCV 2021). Direct coding: Rueckauer et al. (Frontiers in Neuroscience 11, 2017).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeGuard

import torch
from snntorch import Leaky, SpikingNeuron, surrogate  # type: ignore[import-untyped]
from torch import Tensor, nn

from frugal.errors import TechniqueError
from frugal.models import SpatialMean

DIRECT = "direct"
RATE = "rate"
CODINGS = (DIRECT, RATE)

Synapses = nn.Linear | nn.Conv2d
PASSIVE = (nn.Flatten, nn.Dropout, nn.Dropout2d, nn.Identity)
"""What may stand between synapses and neurons: a spike passes as it is."""


class Neurons(nn.Module):
    """A layer of leaky integrate-and-fire neurons over all time steps.

    Attributes:
        recording: Keep `fired` in training. Whoever turns it on takes what it holds away after each pass.
        fired: ``[n, ...]`` how often each neuron spiked for each example of the last pass, with its gradient.

    Args:
        steps: Time steps.
        beta: Share of the membrane that is left after a step.
        threshold: A membrane above it spikes, and is lower by it in the next step.
        constant: The current is the same in all steps and comes once: ``[n, ...]`` instead of ``[steps * n, ...]``.
    """

    def __init__(self, steps: int, beta: float, threshold: float, *, constant: bool = False) -> None:
        super().__init__()
        self.steps = steps
        self.constant = constant
        self.recording = False
        self.fired: Tensor | None = None
        self.cell = Leaky(beta=beta, threshold=threshold, spike_grad=surrogate.atan())
        # snntorch keeps every neuron that was ever made in a list of its class: models would never be freed.
        SpikingNeuron.instances.remove(self.cell)

    def forward(self, currents: Tensor) -> Tensor:
        """Currents to spikes, ``[steps * n, ...]`` of zeros and ones in the currents' type."""
        given = currents.dtype
        currents = currents.float()  # membranes of 16 bits would swallow small currents
        each = [currents] * self.steps if self.constant else torch.unflatten(currents, 0, (self.steps, -1)).unbind()
        membrane = torch.zeros_like(each[0])
        spikes = []
        for current in each:
            fired, membrane = self.cell(current, membrane)
            spikes.append(fired)
        # The cell keeps its last membrane, and with it the graph of the whole batch.
        self.cell.mem = currents.new_zeros(0)
        self.cell.reset = None
        if self.recording and self.training:
            self.fired = torch.stack(spikes).sum(dim=0)
        return torch.cat(spikes).to(given)

    def extra_repr(self) -> str:
        """See `nn.Module.extra_repr`."""
        return f"steps={self.steps}, constant={self.constant}"


class RateCode(nn.Module):
    """Inputs as spikes whose number follows their size: ``[n, ...]`` to ``[steps * n, ...]`` of zeros and ones.

    In training each step draws anew (Bernoulli); in evaluation spikes are as evenly spaced as they can be.

    Args:
        low: Inputs from here down never spike.
        high: Inputs from here up spike in every step.
    """

    low: Tensor
    high: Tensor

    def __init__(self, steps: int, low: float, high: float) -> None:
        super().__init__()
        self.steps = steps
        self.register_buffer("low", torch.tensor(low))
        self.register_buffer("high", torch.tensor(high))

    def forward(self, inputs: Tensor) -> Tensor:
        """Real numbers to spikes."""
        rates = ((inputs.float() - self.low) / (self.high - self.low)).clamp(0, 1)
        if self.training:
            return torch.bernoulli(torch.cat([rates] * self.steps)).to(inputs.dtype)
        # How many spikes are due after each step; half a spike ahead, else weak inputs would only ever come too late.
        due = [torch.floor(rates * step + 0.5) for step in range(self.steps + 1)]
        return torch.cat([later - sooner for sooner, later in pairwise(due)]).to(inputs.dtype)

    def extra_repr(self) -> str:
        """See `nn.Module.extra_repr`."""
        return f"steps={self.steps}, low={float(self.low):g}, high={float(self.high):g}"


class MeanOverTime(nn.Module):
    """Averages over the time steps: ``[steps * n, ...]`` to ``[n, ...]``."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, inputs: Tensor) -> Tensor:
        """The mean of what arrived: a membrane that loses nothing and never spikes, over the number of steps."""
        return torch.unflatten(inputs.float(), 0, (self.steps, -1)).mean(dim=0)


@dataclass(frozen=True, kw_only=True)
class Stretch:
    """The part of a chain from one layer of neurons (or the input) to the next (or the output).

    Attributes:
        layers: In the order of their use.
        source: What spikes into it; None where the input comes in as numbers.
    """

    layers: tuple[nn.Module, ...]
    source: Neurons | RateCode | None


def is_synapses(module: nn.Module) -> TypeGuard[Synapses]:
    """Whether ``module`` is a layer with weights, of the kinds that are known here."""
    return type(module) in (nn.Linear, nn.Conv2d)


def convert(
    model: nn.Module, steps: int, beta: float, threshold: float, inputs: tuple[float, float] | None = None
) -> nn.Sequential:
    """Make a spiking network of ``model``'s own layers; weights keep their names (rate coding moves all on by one).

    Args:
        model: A chain of linear layers or convolutions with ReLUs in between.
        steps: Time steps, at least 1.
        beta: See `Neurons`.
        threshold: See `Neurons`.
        inputs: Lowest and highest input for rate coding; without, inputs come in as constant currents.

    Raises:
        TechniqueError: The model is no such chain; says at which layer and why.
    """
    chain = model if isinstance(model, nn.Sequential) else nn.Sequential(model)
    places = list(_places(chain))
    _require_chain(places)
    constant = inputs is None
    for place in places:
        if isinstance(place.module, nn.ReLU):
            place.parent._modules[place.key] = Neurons(steps, beta, threshold, constant=constant)
            constant = False
    code = [] if inputs is None else [RateCode(steps, *inputs)]
    return nn.Sequential(*code, *chain, MeanOverTime(steps))


def stretches(model: nn.Module) -> list[Stretch]:
    """The parts of a converted network, in the order of their use."""
    found: list[Stretch] = []
    layers: list[nn.Module] = []
    source: Neurons | RateCode | None = None
    for place in _places(model):
        if isinstance(place.module, Neurons | RateCode):
            if layers:
                found.append(Stretch(layers=tuple(layers), source=source))
            layers, source = [], place.module
        elif not isinstance(place.module, MeanOverTime):
            layers.append(place.module)
    return [*found, Stretch(layers=tuple(layers), source=source)]


def is_spiking(model: nn.Module) -> bool:
    """Whether ``model`` has spiking neurons."""
    return any(isinstance(module, Neurons) for module in model.modules())


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a module of a chain stands."""

    name: str
    parent: nn.Module
    key: str
    module: nn.Module


def _places(module: nn.Module, name: str = "") -> Iterator[_Place]:
    """The modules of a chain in the order of their use, sequences within sequences opened."""
    for key, inner in module._modules.items():
        if inner is None:
            continue
        path = f"{name}.{key}" if name else key
        if isinstance(inner, nn.Sequential) and type(inner).forward is nn.Sequential.forward:
            yield from _places(inner, path)
        else:
            yield _Place(name=path, parent=module, key=key, module=inner)


def _require_chain(places: list[_Place]) -> None:
    pending: str | None = None  # synapses that no neurons followed yet
    neurons = 0
    for place in places:
        if is_synapses(place.module):
            if pending is not None:
                raise _refusal(place, f"follows {pending!r} without a ReLU in between")
            if isinstance(place.module, nn.Conv2d) and place.module.padding_mode != "zeros":
                raise _refusal(place, f"pads with padding_mode={place.module.padding_mode!r}, not with zeros")
            pending = place.name
        elif type(place.module) is nn.ReLU:
            if pending is None:
                raise _refusal(place, "has no layer with weights before it")
            pending = None
            neurons += 1
        elif type(place.module) is SpatialMean:
            if pending is not None:
                raise _refusal(place, f"averages the sums of {pending!r} before a ReLU")
        elif type(place.module) not in PASSIVE:
            raise _refusal(place, "is not known to pass spikes on")
    if not neurons or pending is None:
        raise TechniqueError(
            "spiking: the model needs an nn.ReLU to put neurons in its place, and a layer with weights after the last "
            "one: use --model mlp or cnn"
        )


def _refusal(place: _Place, reason: str) -> TechniqueError:
    return TechniqueError(
        f"spiking: layer {place.name!r} ({type(place.module).__name__}) {reason}; use a plain chain of Linear and "
        "Conv2d layers with nn.ReLU in between, such as the models mlp and cnn, or leave spiking out"
    )
