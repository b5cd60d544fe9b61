"""Masks take what is smallest, in the wanted number, and never give it back."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from frugal.errors import TechniqueError
from frugal.methods.masks import STRUCTURES, Masks


def _layer(weight: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    with torch.no_grad():
        layer.weight.copy_(weight)
    return layer


def _model() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 12), nn.ReLU(), nn.Linear(12, 6), nn.ReLU(), nn.Linear(6, 4))


def test_smallest_weights_go_first_over_all_layers_or_in_each() -> None:
    model = nn.Sequential(_layer(torch.tensor([[1.0, -2.0, 3.0, -4.0]])), _layer(torch.tensor([[-5.0], [6.0]])))
    over_all = Masks.all_kept(model, "unstructured", "global")
    over_all.grow(model, 0.5)
    assert over_all.kept["0"].tolist() == [[False, False, False, True]]
    assert over_all.kept["1"].tolist() == [[True], [True]]
    in_each = Masks.all_kept(model, "unstructured", "layer")
    in_each.grow(model, 0.5)
    assert in_each.kept["0"].tolist() == [[False, False, True, True]]
    assert in_each.kept["1"].tolist() == [[False], [True]]


def test_units_go_by_the_mean_magnitude_of_their_weights() -> None:
    first = _layer(torch.tensor([[5.0, 5.0], [-9.0, 9.0], [1.0, -2.0], [0.0, 11.0]]))
    model = nn.Sequential(first, nn.ReLU(), nn.Linear(4, 2))
    masks = Masks.all_kept(model, "channels", "layer")
    masks.grow(model, 0.5)
    assert masks.kept["0"].flatten().tolist() == [False, True, False, True]
    masks.apply(model)
    assert (first.weight[[0, 2]] == 0).all()
    assert (first.bias[[0, 2]] == 0).all()
    assert (first.bias[[1, 3]] != 0).all()


def test_units_of_layers_with_other_scales_compare() -> None:
    # The second layer's weights are a hundred times smaller, but only one of its units is small among its own.
    model = nn.Sequential(
        _layer(torch.tensor([[100.0], [101.0], [102.0], [1.0]])),
        nn.ReLU(),
        _layer(torch.tensor([[1.0] * 4, [1.1] * 4, [1.2] * 4, [0.01] * 4])),
        nn.ReLU(),
        nn.Linear(4, 2),
    )
    masks = Masks.all_kept(model, "channels", "global")
    masks.grow(model, 0.25)
    assert [mask.flatten().tolist() for mask in masks.kept.values()] == [[True, True, True, False]] * 2


def test_two_smallest_of_each_four_go() -> None:
    model = nn.Sequential(_layer(torch.tensor([[1.0, -2.0, 3.0, -4.0, 80.0, -70.0, 60.0, 50.0]])))
    masks = Masks.all_kept(model, "2:4", "global")
    masks.grow(model, 0.25)
    assert masks.kept["0"].tolist() == [[False, False] + [True] * 6]
    masks.grow(model, 0.5)
    assert masks.kept["0"].tolist() == [[False, False, True, True, True, True, False, False]]


@pytest.mark.parametrize("scope", ["global", "layer"])
@pytest.mark.parametrize("structure", STRUCTURES)
def test_what_is_gone_stays_gone_though_its_magnitude_be_great(structure: str, scope: str) -> None:
    model = _model()
    masks = Masks.all_kept(model, structure, scope)
    before = {name: mask.clone() for name, mask in masks.kept.items()}
    for sparsity in (0.1, 0.3, 0.2, 0.5):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
        masks.grow(model, sparsity)
        assert all((before[name] | ~mask).all() for name, mask in masks.kept.items())
        before = {name: mask.clone() for name, mask in masks.kept.items()}
    assert masks.sparsity == 0.5


def test_numbers_that_are_none_are_set_to_zero_too() -> None:
    model = nn.Sequential(_layer(torch.tensor([[0.1, 2.0]])))
    masks = Masks.all_kept(model, "unstructured", "global")
    masks.grow(model, 0.5)
    layer = model[0]
    assert isinstance(layer, nn.Linear)
    with torch.no_grad():
        layer.weight[0, 0] = float("nan")
    layer.weight.grad = torch.full((1, 2), float("inf"))
    masks.apply(model)
    masks.apply_to_gradients(model)
    assert layer.weight.tolist() == [[0.0, 2.0]]
    assert layer.weight.grad.tolist() == [[0.0, float("inf")]]


def test_weights_that_layers_share_are_counted_once() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    assert list(Masks.all_kept(model, "unstructured", "global").kept) == ["0"]


def test_weights_that_are_computed_from_others_are_left_alone() -> None:
    model = nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.ReLU(), nn.Linear(4, 4))
    assert list(Masks.all_kept(model, "unstructured", "global").kept) == ["2"]


@pytest.mark.parametrize(
    ("structure", "message"),
    [
        ("unstructured", r"no linear or convolutional layer of that structure; use another --model"),
        ("2:4", r"structure=2:4: .* inputs must be a multiple of four"),
        ("channels", r"needs a model with hidden units"),
    ],
)
def test_model_without_a_layer_to_prune_is_refused(structure: str, message: str) -> None:
    model = nn.Sequential(nn.Flatten()) if structure != "2:4" else nn.Sequential(nn.Linear(6, 2))
    with pytest.raises(TechniqueError, match=message):
        Masks.all_kept(model, structure, "global")
