"""Other activation functions: cheap ones against costly ones, and sparse ones with the sparsity they reach.

Every `nn.ReLU` module of the model becomes the chosen function; ReLUs that a model calls as functions stay. What must
hold: the chosen function is in the model that is trained, whatever other techniques made of it, or the run is refused.

ReLU: Nair & Hinton (2010); PReLU: He et al. (2015); GELU: Hendrycks & Gimpel (2016); SiLU: Ramachandran et al.,
"Searching for Activation Functions" (2017); hard swish: Howard et al., "Searching for MobileNetV3" (2019); top-k: see
`frugal.methods.activations`. Zeros save energy only on hardware, or in kernels, that skip them: the sparsity is a
measurement, the saving is not implied.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import nn

from frugal.errors import TechniqueError
from frugal.methods import activations
from frugal.run import Run
from frugal.technique import Stage, Technique, Value

MEASURED_EXAMPLES = 512


@dataclass(frozen=True)
class Activation(Technique):
    """Replaces the model's ReLU modules.

    Attributes:
        kind: relu (the model stays as it is, its sparsity is measured), leaky-relu, relu6, hardswish, gelu, silu, prelu
            or top-k.
        keep: For top-k: share of an example's values that a layer keeps; the others become 0.
    """

    kind: str = "relu"
    keep: float = 0.1

    name = "activation"
    stage = Stage.ARCHITECTURE

    def __post_init__(self) -> None:
        known = [*activations.KINDS, activations.TOP_K]
        if self.kind not in known:
            raise TechniqueError(f"activation: kind={self.kind!r}: use one of {', '.join(known)}")
        if not 0 < self.keep <= 1:
            raise TechniqueError(f"activation: keep={self.keep!r}: use a share above 0 and at most 1, 0.1 say")

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        """See `Technique.build_model`."""
        if not activations.replace_relu(model, self._create):
            raise TechniqueError(
                f"activation: kind={self.kind!r}: the model {run.config.model!r} has no nn.ReLU module to replace: "
                "choose another --model, or leave activation out"
            )
        return model

    def start(self, run: Run) -> None:
        """See `Technique.start`."""
        if not self._places(run):
            raise TechniqueError(
                f"activation: kind={self.kind!r}: another technique replaced the model or its activations afterwards: "
                "name activation after it, or leave one out"
            )

    def results(self, run: Run) -> Mapping[str, Value]:
        """Layers with the activation, and the share of exact zeros they give on validation examples."""
        return {"layers": self._places(run), "sparsity": round(self._sparsity(run), 6)}

    def _create(self) -> nn.Module:
        return activations.create(self.kind, self.keep)

    def _places(self, run: Run) -> int:
        return sum(type(module) is type(self._create()) for module in run.model.modules())

    @torch.no_grad()
    def _sparsity(self, run: Run) -> float:
        """The same in every process: all look at the same examples."""
        validation = run.data.validation
        inputs, _ = validation.batch(torch.arange(min(MEASURED_EXAMPLES, len(validation))), run.device)
        was_training = run.model.training
        run.model.eval()
        try:
            with (
                activations.counted_zeros(run.model, type(self._create())) as counted,
                run.techniques.forward_context(run),
            ):
                run.model(inputs)
        finally:
            run.model.train(was_training)
        return counted.share
