"""Quantization: the model is deployed in fewer bits than it was trained in.

- ``dynamic``: int8; how far a layer's inputs reach is looked up anew in each batch.
- ``static``: int8; how far they reach is measured once, on training examples only.
- ``qat``: int8; the later part of the training computes as if in int8, and learns the reaches (quantization-aware
  training; Jacob et al., 2018).
- ``int8-weights``, ``int4-weights``: weights are stored so; the arithmetic stays float.
- ``bf16``, ``fp16``: everything in 16 bits.

The int8 kinds answer with integer kernels of the CPU, also after training on a GPU; `frugal.methods.quantizing` tells
which and why. Linear layers and two-dimensional convolutions are quantized; whatever else has weights stays in float,
and the results name it. What must hold: nothing is ever measured on validation or test examples; a model is refused
before it is trained if no layer of it can be quantized.
"""

from __future__ import annotations

import copy
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from frugal.costs.flops import stored_bytes
from frugal.costs.operations import operations
from frugal.errors import ConfigError, TechniqueError
from frugal.methods import quantizing, quantizing_ranges
from frugal.methods.quantizing import Int8, WeightOnly
from frugal.technique import Claim, Forward, Stage, Technique, Value

if TYPE_CHECKING:
    from frugal.methods.quantizing_ranges import Reaches
    from frugal.run import Run

log = logging.getLogger(__name__)

DYNAMIC, STATIC, AWARE = INTEGER_KINDS = ("dynamic", "static", "qat")
WEIGHT_KINDS = {"int8-weights": 8, "int4-weights": 4}
CAST_KINDS = {"bf16": torch.bfloat16, "fp16": torch.float16}
KINDS = (*INTEGER_KINDS, *WEIGHT_KINDS, *CAST_KINDS)
NAMED = 8  # layers that stay in float, in the results


@dataclass
class Quantization(Technique):
    """Deploys the model in fewer bits.

    Attributes:
        kind: One of `KINDS`.
        calibration: Training examples that ``static`` measures.
        begin: Share of the training after which ``qat`` computes as if quantized.
    """

    kind: str = STATIC
    calibration: int = 512
    begin: float = 0.5

    name = "quantization"
    stage = Stage.PRECISION
    claims = frozenset({Claim.INFERENCE_PRECISION})

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError("quantization,kind", self.kind, f"use one of {', '.join(KINDS)}")
        if self.calibration < 1:
            raise ConfigError("quantization,calibration", self.calibration, "use at least 1, 512 is a good start")
        if not 0 <= self.begin < 1:
            raise ConfigError("quantization,begin", self.begin, "use a share of the training, from 0 to less than 1")
        self._simulation = quantizing_ranges.Simulation()
        self._figures: dict[str, Value] = {"kind": self.kind}

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """Refuse what torch's compilers cannot follow."""
        if self.kind == AWARE and any(technique.name == "compile" for technique in run.techniques):
            raise TechniqueError(
                "quantization,kind=qat cannot be combined with 'compile', which cannot trace rounding that is learned "
                "through: use kind=static, or leave compile out"
            )
        return model

    def wrap_forward(self, run: Run, forward: Forward) -> Forward:
        """Called whenever the run gets a model: that one learns to be quantized."""
        if self.kind == AWARE:
            self._simulation.install(run.model)
        return forward

    def start(self, run: Run) -> None:
        """Refuse what could only fail in the end."""
        if self.kind not in CAST_KINDS and not any(quantizing.eligible(run.model)):
            raise TechniqueError(
                f"quantization,kind={self.kind}: the model has no plain linear layer and no two-dimensional "
                "convolution with weights of its own, so nothing to quantize: use kind=bf16, or another --model"
            )
        if self.kind in INTEGER_KINDS and not hasattr(torch.ops.onednn, "qlinear_pointwise"):
            raise TechniqueError(
                f"quantization,kind={self.kind}: this build of torch has no int8 kernels for the CPU: "
                "use kind=int8-weights, or a build with oneDNN"
            )
        self._look_at_the_time(run)

    def after_step(self, run: Run) -> None:
        """Learn from the step's numbers; begin when it is time."""
        if self.kind == AWARE:
            self._simulation.end_step(lambda reaches: _largest_of_all(run, reaches))
        self._look_at_the_time(run)

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """The model in fewer bits; what was trained stays as it is, but for the simulation on it."""
        for simulated in (run.model, model):
            self._simulation.remove_from(simulated)
        deployed = self._deployed(run, model)
        integers = [name for name, module in deployed.named_modules() if isinstance(module, Int8)]
        otherwise = self.kind if self.kind in CAST_KINDS else "fp32"
        counted = operations(model, run.data.shape, dict.fromkeys(integers, "int8"), otherwise)
        self._figures |= {
            "quantized_layers": sum(isinstance(module, Int8 | WeightOnly) for module in deployed.modules()),
            "float_layers": "" if self.kind in CAST_KINDS else _listed(quantizing.in_float(deployed)),
            "bytes_before": stored_bytes(model),
            "bytes_after": stored_bytes(deployed),
            **{kind.replace("-", "_"): count for kind, count in counted.items()},
        }
        return deployed

    def results(self, run: Run) -> Mapping[str, Value]:
        """Bytes before and after, layers, and multiply-adds for one example by precision."""
        return self._figures

    def state_dict(self) -> dict[str, Any]:
        """How far numbers reach, and whether it has begun."""
        return self._simulation.state_dict()

    def load_state_dict(self, run: Run, state: dict[str, Any]) -> None:
        """See `Technique.load_state_dict`."""
        self._simulation.load_state_dict(state, run.device)

    def _look_at_the_time(self, run: Run) -> None:
        # Techniques that choose examples make the training longer or shorter as it goes: what has begun goes on.
        if self.kind == AWARE and run.step >= self.begin * run.total_steps:
            self._simulation.active = True

    def _deployed(self, run: Run, model: nn.Module) -> nn.Module:
        if self.kind in CAST_KINDS:
            return Cast(model, CAST_KINDS[self.kind])
        if self.kind in WEIGHT_KINDS:
            bits = WEIGHT_KINDS[self.kind]
            layers = {name: WeightOnly(layer, bits) for name, layer in quantizing.eligible(model)}
            return quantizing.with_modules(model, layers)
        if self.kind == DYNAMIC:
            return quantizing.with_integers(model, None).to("cpu")
        return quantizing.with_integers(model, self._reaches(run, model)).to("cpu")

    def _reaches(self, run: Run, model: nn.Module) -> Reaches:
        learned = self._simulation.reaches
        if self.kind == AWARE:
            if self._simulation.complete_for(model):
                return learned
            log.warning(
                "quantization-aware training has not seen every layer, as training ended after %d of %d steps: "
                "measured like kind=static; choose a smaller begin= than %g, or train on",
                run.step,
                run.total_steps,
                self.begin,
            )
        # Drawn from a stream of its own: nobody's draws change, and all processes measure the same examples.
        generator = torch.Generator().manual_seed(run.config.seed)
        chosen = torch.randperm(len(run.data.train), generator=generator)[: self.calibration]
        return quantizing_ranges.calibrated(model, run.data.train, chosen, run.device) | learned


class Cast(nn.Module):
    """A copy of a model in 16 bits, that takes and gives float32."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.dtype = dtype
        self.model = copy.deepcopy(model).to(dtype)

    def forward(self, inputs: Tensor) -> Tensor:
        """As the model does."""
        outputs: Tensor = self.model(inputs.to(self.dtype))
        return outputs.float()


def _listed(names: list[str]) -> str:
    """Results must fit into a pod's status: a few names, and how many more."""
    more = [f"and {len(names) - NAMED} more"] if len(names) > NAMED else []
    return ", ".join(names[:NAMED] + more)


def _largest_of_all(run: Run, values: Tensor) -> Tensor:
    """The elementwise maximum over the processes."""
    if run.world.size == 1:
        return values
    everybody = torch.zeros(run.world.size, *values.shape)
    everybody[run.world.rank] = values
    return run.world.sum(everybody).amax(dim=0).to(values.device)
