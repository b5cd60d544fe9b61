"""What a layer of a model gives, seen from outside while the model runs as it always does.

What must hold: looking changes nothing; a model that is finished carries no trace of having been looked at, also if it
is a copy that was made meanwhile.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from frugal.errors import TechniqueError

if TYPE_CHECKING:
    from frugal.run import Run

_IMAGES = 4
_TOKENS = 3


class Tap:
    """Keeps the latest features ``[n, width]`` of one layer: of images and tokens, the mean over places.

    Args:
        model: Whose layer it is.
        layer: The layer's name in ``model``, whose output is kept; empty: the input of the last linear layer.
        option: Which option named it, for error messages.

    Raises:
        TechniqueError: There is no such layer.
    """

    def __init__(self, model: nn.Module, layer: str, option: str) -> None:
        self._model = model
        self._latest: Tensor | None = None
        self._what = f"{option}={layer!r}"
        # Plain functions: a bound method would be copied with the model, and this object with it.

        def keep_input(module: nn.Module, inputs: Any) -> None:
            self._latest = inputs[0]

        def keep_output(module: nn.Module, inputs: Any, output: Tensor) -> None:
            self._latest = output

        self._hooks = (keep_input, keep_output)
        if layer:
            layers = dict(model.named_modules())
            if layer not in layers:
                raise TechniqueError(f"{self._what}: no such layer: use one of {', '.join(filter(None, layers))}")
            layers[layer].register_forward_hook(keep_output)
        else:
            linear = [module for module in model.modules() if isinstance(module, nn.Linear)]
            if not linear:
                raise TechniqueError(f"{self._what}: the model has no linear layer: name a layer that it has")
            linear[-1].register_forward_pre_hook(keep_input)

    def take(self) -> Tensor:
        """The features of the latest pass, once.

        Raises:
            TechniqueError: The layer has not run since.
        """
        latest, self._latest = self._latest, None
        if latest is None:
            raise TechniqueError(f"{self._what}: the layer did not run in the forward pass: name another layer")
        if latest.dim() == _IMAGES:
            return latest.mean(dim=(2, 3))
        if latest.dim() == _TOKENS:
            return latest.mean(dim=1)
        return latest.flatten(1)

    @torch.no_grad()
    def width(self, run: Run) -> int:
        """Features of an example, found by one pass; mode and random streams stay as they are."""
        was_training = self._model.training
        self._model.eval()
        try:
            self._model(torch.zeros(1, *run.data.shape, device=run.device))
        finally:
            self._model.train(was_training)
        return self.take().shape[1]

    def remove_from(self, model: nn.Module) -> None:
        """Take the hooks off ``model``: the tapped one or a copy of it."""
        for module in model.modules():
            for hooks in (module._forward_hooks, module._forward_pre_hooks):
                for key in [key for key, hook in hooks.items() if hook in self._hooks]:
                    del hooks[key]
