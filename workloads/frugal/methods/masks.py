"""Which weights count: masks over a model's layers that only ever lose entries.

The weights that are smallest in magnitude go first (Han et al., 2015), until a wanted share is gone, over all layers or
in each. What is removed together depends on the structure:

- ``unstructured``: single weights;
- ``channels``: a layer's units with all their weights and their bias, by their weights' mean magnitude (Li et al.,
  2017); each layer keeps its best unit, as the model would be cut in two without;
- ``2:4``: single weights, at most two of each four that follow each other along a layer's inputs (Mishra et al., 2021).

Masks lie beside the weights instead of in their place, so parameters keep their names in checkpoints and optimizers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize, prune

from frugal.errors import TechniqueError
from frugal.methods import chain

UNSTRUCTURED, CHANNELS, TWO_OF_FOUR = STRUCTURES = ("unstructured", "channels", "2:4")
GLOBAL, LAYER = SCOPES = ("global", "layer")
GROUP = 4

Layer = nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d


class Masks:
    """What is kept of each layer.

    Args:
        structure: One of `STRUCTURES`.
        scope: One of `SCOPES`: whether the wanted share holds over all layers together or in each of them.
        kept: By layer's name, bool: of the weight's shape, or ``[units, 1, …]`` for channels; on the model's device.
    """

    def __init__(self, structure: str, scope: str, kept: dict[str, Tensor]) -> None:
        self.structure = structure
        self.scope = scope
        self.kept = kept

    @classmethod
    def all_kept(cls, model: nn.Module, structure: str, scope: str) -> Masks:
        """Masks over every layer that can have the structure, with nothing removed yet.

        Raises:
            TechniqueError: The model has no such layer, or (channels) is no chain.
        """
        kept = {name: torch.ones_like(layer.weight, dtype=torch.bool) for name, layer in _layers(model, structure)}
        if not kept:
            raise TechniqueError(
                f"pruning,structure={structure}: the model has no linear or convolutional layer of that structure"
                f"{', whose inputs must be a multiple of four' if structure == TWO_OF_FOUR else ''}; "
                "use another --model or structure=unstructured"
            )
        if structure == CHANNELS:
            kept = {name: mask.flatten(1).all(1).view(-1, *[1] * (mask.dim() - 1)) for name, mask in kept.items()}
        return cls(structure, scope, kept)

    @property
    def sparsity(self) -> float:
        """The share that is gone, of weights or (channels) of hidden units, in the layers with masks."""
        return _gone(self.kept) / _entries(self.kept)

    @torch.no_grad()
    def grow(self, model: nn.Module, sparsity: float) -> None:
        """Remove what is smallest until the share ``sparsity`` is gone; what is gone never comes back."""
        names = list(self.kept)
        for group in [names] if self.scope == GLOBAL else [[name] for name in names]:
            self._grow(model, sparsity, group)

    @torch.no_grad()
    def apply(self, model: nn.Module) -> None:
        """Set the weights that are gone to zero."""
        for parameter, mask in self._covered(model):
            parameter.masked_fill_(~mask, 0)

    @torch.no_grad()
    def apply_to_gradients(self, model: nn.Module) -> None:
        """Set the gradients of the weights that are gone to zero: no optimizer shall remember them."""
        for parameter, mask in self._covered(model):
            if parameter.grad is not None:
                parameter.grad.masked_fill_(~mask, 0)

    def _covered(self, model: nn.Module) -> Iterator[tuple[Tensor, Tensor]]:
        for name, mask in self.kept.items():
            layer = _layer(model, name, mask)
            yield layer.weight, mask
            if self.structure == CHANNELS and layer.bias is not None:
                yield layer.bias, mask.flatten()

    def _grow(self, model: nn.Module, sparsity: float, names: list[str]) -> None:
        # On the CPU, where equal magnitudes are told apart alike in every process.
        kept = {name: self.kept[name].cpu() for name in names}
        scores = {
            name: self._scores(_layer(model, name, self.kept[name]).weight.cpu().float(), kept[name]) for name in names
        }
        free = {name: self._removable(scores[name], kept[name]) for name in names}
        candidates = torch.cat([scores[name][free[name]] for name in names])
        more = min(round(sparsity * _entries(kept)) - _gone(kept), len(candidates))
        if more <= 0:
            return
        smallest = prune.L1Unstructured(amount=more)
        stay = smallest.compute_mask(candidates, torch.ones_like(candidates)).bool()  # type: ignore[no-untyped-call]
        for name, part in zip(names, stay.split([int(free[name].sum()) for name in names]), strict=True):
            kept[name][free[name]] = part
            self.kept[name] = kept[name].to(self.kept[name].device)

    def _scores(self, weight: Tensor, kept: Tensor) -> Tensor:
        """How much each entry counts, of the mask's shape."""
        if self.structure != CHANNELS:
            return weight.abs()
        scores = weight.abs().flatten(1).mean(dim=1).view_as(kept)
        # Layers differ in scale by their number of inputs; relative to it, they compare (Molchanov et al., 2017).
        return scores / scores[kept].mean().clamp_min(torch.finfo(scores.dtype).tiny)

    def _removable(self, scores: Tensor, kept: Tensor) -> Tensor:
        """The entries that may go next."""
        ranked = torch.where(kept, scores, -1.0)
        if self.structure == CHANNELS:
            best = torch.zeros_like(kept)
            best.view(-1)[ranked.argmax()] = True
            return kept & ~best
        if self.structure == TWO_OF_FOUR:
            inputs_last = ranked.movedim(1, -1)
            groups = inputs_last.reshape(-1, GROUP)
            smallest = torch.zeros_like(groups, dtype=torch.bool)
            smallest.scatter_(1, groups.topk(GROUP // 2, largest=False).indices, value=True)
            return kept & smallest.view_as(inputs_last).movedim(-1, 1)
        return kept.clone()


def _layers(model: nn.Module, structure: str) -> Iterator[tuple[str, Layer]]:
    if structure == CHANNELS:
        for link in chain.links(model)[:-1]:
            yield link.name, link.layer
        return
    seen: set[int] = set()
    for name, module in model.named_modules():
        if not _is_layer(module) or parametrize.is_parametrized(module) or id(module.weight) in seen:
            continue
        if structure == TWO_OF_FOUR and module.weight.shape[1] % GROUP:
            continue
        seen.add(id(module.weight))
        yield name, module


def _layer(model: nn.Module, name: str, mask: Tensor) -> Layer:
    module = dict(model.named_modules()).get(name)
    if not _is_layer(module) or not _covers(mask, module.weight):
        raise TechniqueError(
            f"pruning: layer {name!r} is not what it was, another technique changed the model: leave one of them out"
        )
    return module


def _covers(mask: Tensor, weight: Tensor) -> bool:
    return mask.dim() == weight.dim() and all(m in (w, 1) for m, w in zip(mask.shape, weight.shape, strict=True))


def _entries(kept: dict[str, Tensor]) -> int:
    return sum(mask.numel() for mask in kept.values())


def _gone(kept: dict[str, Tensor]) -> int:
    return _entries(kept) - sum(int(mask.sum()) for mask in kept.values())


def _is_layer(module: nn.Module | None) -> TypeGuard[Layer]:
    return isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d | nn.Conv3d)
