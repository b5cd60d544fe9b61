"""Training in 8-bit floats: the matrix products of linear layers, forwards and backwards; the weights stay float32.

Before each product both tensors are scaled into the narrow range of 8-bit floats (Micikevicius et al., "FP8 Formats for
Deep Learning", 2022). torchao does it (`torchao.float8`, dynamic tensorwise scaling): nothing is remembered from step
to step, so there is nothing to checkpoint. Everything else runs in bf16, as with ``amp``.

It needs a GPU that has such products, and layers whose sides are multiples of 16; a CPU or an older GPU is refused by
name. It pays for wide layers, and together with ``compile``, which fuses the scaling. What is deployed is the model
with plain linear layers again.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from frugal.errors import ConfigError, TechniqueError
from frugal.methods.quantizing import with_modules
from frugal.technique import Claim, Stage, Technique, Value

if TYPE_CHECKING:
    from frugal.config import TrainConfig
    from frugal.data import DataSplits
    from frugal.run import Run

CAPABILITY = (8, 9)  # NVIDIA Ada and Hopper, the first with matrix products of 8-bit floats
MULTIPLE = 16  # of which the sides of such products are


@dataclass
class Fp8(Technique):
    """Trains linear layers in 8-bit floats."""

    name = "fp8"
    stage = Stage.PRECISION
    claims = frozenset({Claim.TRAINING_PRECISION})
    excludes = frozenset({"quantization"})  # which knows plain layers only, while training goes on and at its end

    def __post_init__(self) -> None:
        self._converted: list[str] = []

    def check(self, config: TrainConfig) -> None:
        """Refused early where a CPU was asked for by name."""
        if config.device == "cpu":
            raise ConfigError("device", config.device, _needs_more("a CPU"))

    def prepare_data(self, run: Run, data: DataSplits) -> DataSplits:
        """The first hook that knows the device: refuse here what it cannot do."""
        refusal = why_not(run.device)
        if refusal is not None:
            raise TechniqueError(refusal)
        return data

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """Convert the linear layers that can be."""
        self._converted = [name for name, module in model.named_modules() if _fits(module)]
        if not self._converted:
            raise TechniqueError(
                f"fp8: the model {run.config.model!r} has no linear layer whose inputs and outputs are multiples of "
                f"{MULTIPLE}: use --with amp,dtype=bf16, or another --model"
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escape sequences in docstrings, when it is compiled first
            from torchao.float8 import (  # type: ignore[import-untyped]  # seconds to import
                Float8LinearConfig,
                convert_to_float8_training,
            )

        config = Float8LinearConfig.from_recipe_name("tensorwise")
        # A batch of any size is a side of the weights' gradients. Emulated only by tests: a CPU was refused above.
        config = dataclasses.replace(config, pad_inner_dim=True, emulate=run.device.type == "cpu")
        converted: nn.Module = convert_to_float8_training(
            model, module_filter_fn=lambda module, name: name in self._converted, config=config
        )
        return converted

    def forward_context(self, run: Run) -> AbstractContextManager[object]:
        """Everything else in bf16, in training and evaluation."""
        return torch.autocast(run.device.type, dtype=torch.bfloat16)

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        """A copy with plain linear layers."""
        plain = {name: _plain(model.get_submodule(name)) for name in self._converted}
        return with_modules(model, plain)

    def results(self, run: Run) -> Mapping[str, Value]:
        """How many layers were trained so."""
        return {"fp8_layers": len(self._converted)}


def why_not(device: torch.device) -> str | None:
    """Why ``device`` cannot train in 8-bit floats, with the remedy; None if it can."""
    if device.type != "cuda":
        return _needs_more("a CPU")
    capability = torch.cuda.get_device_capability(device)
    if capability < CAPABILITY:
        name = torch.cuda.get_device_name(device)
        return _needs_more(f"{name} of compute capability {capability[0]}.{capability[1]}")
    return None


def _needs_more(device: str) -> str:
    return (
        f"fp8 needs a GPU of compute capability 8.9 or later (Ada, Hopper), this is {device}: use --with amp,dtype=bf16"
    )


def _fits(module: nn.Module) -> bool:
    # Not what is derived from linear layers: it may compute its weights from others.
    return type(module) is nn.Linear and module.in_features % MULTIPLE == 0 and module.out_features % MULTIPLE == 0


def _plain(layer: nn.Module) -> nn.Linear:
    assert isinstance(layer, nn.Linear)  # noqa: S101  # torchao's layers are derived from it
    plain = nn.Linear(layer.in_features, layer.out_features, bias=layer.bias is not None, device=layer.weight.device)
    plain.load_state_dict(layer.state_dict())
    return plain
