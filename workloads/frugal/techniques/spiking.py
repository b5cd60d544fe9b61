"""A spiking network instead of a dense one: neurons that are silent most of the time, and spikes that cost additions.

The layers of a chain (the models mlp and cnn) stay, its ReLUs become leaky integrate-and-fire neurons, and the network
is trained through its time steps by surrogate gradients: see `frugal.methods.spiking`. Spikes, and the synapses that
they go through, are counted on validation examples: on a neuromorphic chip these operations are what costs. On a CPU or
GPU nothing is saved, on the contrary: every time step is computed, silent neurons too, so a spiking network there costs
about as many times the dense one as it has steps. What a chip would need is an estimate (`frugal.costs.estimate`).

What must hold: batches do not see each other's membranes, and the network that is counted is the one that was trained.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from frugal.costs.flops import count_flops
from frugal.errors import TechniqueError
from frugal.methods import spiking, spiking_counts
from frugal.run import Run
from frugal.technique import Batch, Stage, Technique, Value

COUNTED_EXAMPLES = 512
PENALTY_FROM = 0.5  # share of the training after which the penalty is whole
CHUNK = 4096  # training examples looked at together for the range of the inputs


@dataclass
class Spiking(Technique):
    """Puts spiking neurons in the place of ReLUs.

    Attributes:
        steps: Time steps for an answer: more are more exact, and cost more spikes.
        coding: ``direct`` lets the first layer add real numbers, the same in each step; ``rate`` turns inputs into
            spikes, more for larger ones: all a chip without multipliers can take, less exact at the same steps.
        beta: Share of its membrane that a neuron keeps from step to step; 1 loses nothing.
        threshold: A neuron spikes when its membrane is above.
        penalty: What an example's synaptic operations add to its loss, times their number and over the multiply-adds of
            the dense network: makes neurons silent that are not needed. 0 leaves the loss as it is.
    """

    steps: int = 4
    coding: str = spiking.DIRECT
    beta: float = 0.9
    threshold: float = 1.0
    penalty: float = 0.0
    _dense_macs: int = field(default=0, init=False)
    _fan_outs: dict[object, Tensor] = field(default_factory=dict, init=False)

    name = "spiking"
    stage = Stage.ARCHITECTURE
    excludes = frozenset({"activation"})

    def __post_init__(self) -> None:
        if self.steps < 1:
            raise TechniqueError(f"spiking: steps={self.steps!r}: use a whole number of at least 1, 4 say")
        if self.coding not in spiking.CODINGS:
            raise TechniqueError(f"spiking: coding={self.coding!r}: use one of {', '.join(spiking.CODINGS)}")
        if not 0 <= self.beta <= 1:
            raise TechniqueError(f"spiking: beta={self.beta!r}: use a share from 0 to 1, 0.9 say")
        if not (math.isfinite(self.threshold) and self.threshold > 0):
            raise TechniqueError(f"spiking: threshold={self.threshold!r}: use a number above 0, 1 say")
        if not (math.isfinite(self.penalty) and self.penalty >= 0):
            raise TechniqueError(f"spiking: penalty={self.penalty!r}: use 0 or a number above, 1 say")

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.build_model`."""
        self._dense_macs = count_flops(model, run.data.shape) // 2
        inputs = _range(run) if self.coding == spiking.RATE else None
        return spiking.convert(model, self.steps, self.beta, self.threshold, inputs)

    def start(self, run: Run) -> None:
        """Refuse now, rather than after the training, what could not be counted."""
        if not spiking.is_spiking(run.model):
            raise TechniqueError(
                "spiking: another technique replaced the model afterwards: name spiking after it, or leave one out"
            )
        for technique in run.techniques:
            if technique.options().get("hint_weight"):
                raise TechniqueError(
                    f"spiking: technique {technique.name!r} compares hidden layers, which are spikes over time here: "
                    "use hint_weight=0"
                )
        self._count(run, 1)

    def transform_batch(self, run: Run, batch: Batch) -> Batch:
        """See `Technique.transform_batch`."""
        for module in run.model.modules():
            if isinstance(module, spiking.Neurons):
                module.recording = self.penalty > 0
        return batch

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        """Add what spikes cost."""
        if not self.penalty:
            return losses
        for part in spiking.stretches(run.model):
            if isinstance(part.source, spiking.Neurons) and part.source.fired is not None:
                fired, part.source.fired = part.source.fired, None
                operations = (fired * self._fan_out(part, fired)).flatten(1).sum(dim=1)
                losses = losses + self._penalty_now(run) * operations / self._dense_macs
        return losses

    def results(self, run: Run) -> Mapping[str, Value]:
        """Of one example on average: spikes, synaptic operations, and the multiply-adds that are left."""
        counts = self._count(run, COUNTED_EXAMPLES)
        return {
            "time_steps": counts.steps,
            "neurons": counts.neurons,
            "spikes_per_example": float(counts.spikes.mean()),
            "input_spikes_per_example": float(counts.input_spikes.mean()),
            "synaptic_operations_per_example": float(counts.synaptic_operations.mean()),
            "neuron_updates_per_example": counts.neurons * counts.steps,
            "sparsity": counts.sparsity,
            "first_layer_macs": counts.first_layer_macs,
            "dense_macs": self._dense_macs,
            "counted_examples": len(counts.spikes),
        }

    def _penalty_now(self, run: Run) -> float:
        # From nothing at first to all of it halfway: a network that knows nothing yet would simply fall silent.
        return self.penalty * min(1.0, run.step / max(1, run.total_steps) / PENALTY_FROM)

    def _fan_out(self, part: spiking.Stretch, fired: Tensor) -> Tensor:
        # Of all weights: which of them are zero now would have to be remembered to resume exactly.
        shapes = tuple(tuple(weight.shape) for layer in part.layers for weight in layer.parameters())
        key = (part.source, fired.shape[1:], shapes)
        if key not in self._fan_outs:
            self._fan_outs[key] = spiking_counts.fan_out(part, fired.shape[1:], pruned=False).to(fired.dtype)
        return self._fan_outs[key]

    def _count(self, run: Run, examples: int) -> spiking_counts.Counts:
        """The same in every process: all look at the same examples."""
        validation = run.data.validation
        inputs, _ = validation.batch(torch.arange(min(examples, len(validation))), run.device)
        with run.techniques.forward_context(run):
            return spiking_counts.count(run.model, inputs)


def _range(run: Run) -> tuple[float, float]:
    """The lowest and the highest input of the training examples."""
    lowest, highest = math.inf, -math.inf
    for indices in torch.split(torch.arange(len(run.data.train)), CHUNK):
        inputs: Tensor = run.data.train.batch(indices, run.device)[0]
        lowest, highest = min(lowest, float(inputs.min())), max(highest, float(inputs.max()))
    if not lowest < highest:
        raise TechniqueError("spiking: coding=rate: all inputs of the training examples are alike: use coding=direct")
    return lowest, highest
