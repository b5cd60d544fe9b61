"""Units that are zero are cut out of a chain without a change of its outputs; other models are refused."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from frugal import models
from frugal.errors import TechniqueError
from frugal.methods import chain


def _maps_lined_up() -> nn.Sequential:
    """Channels of several pixels each become the inputs of a linear layer; one layer without bias; sequences inside."""
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(1, 6, 3, padding=1, bias=False), nn.GELU(), nn.MaxPool2d(2)),
        nn.Sequential(nn.Conv2d(6, 8, 3), nn.LeakyReLU(), nn.AvgPool2d(2)),
        nn.Flatten(),
        nn.Linear(8 * 2 * 2, 10),
        nn.ReLU(),
        nn.Linear(10, 3),
    )


def _model(name: str) -> nn.Module:
    torch.manual_seed(0)
    return _maps_lined_up() if name == "maps lined up" else models.build(name, (1, 12, 12), 3)


@pytest.mark.parametrize("name", ["mlp", "cnn", "maps lined up"])
def test_outputs_stay(name: str) -> None:
    model = _model(name).eval()
    kept = {}
    with torch.no_grad():
        for link in chain.links(model)[:-1]:
            rows = torch.rand(link.layer.weight.shape[0]) < 0.6
            rows[0] = True
            kept[link.name] = rows
            link.layer.weight[~rows] = 0
            if link.layer.bias is not None:
                link.layer.bias[~rows] = 0
    untouched = copy.deepcopy(model.state_dict())
    smaller = chain.without_units(model, kept)

    inputs = torch.randn(5, 1, 12, 12)
    torch.testing.assert_close(smaller(inputs), model(inputs), rtol=1e-5, atol=1e-6)
    assert [link.layer.weight.shape[0] for link in chain.links(smaller)[:-1]] == [
        int(rows.sum()) for rows in kept.values()
    ]
    assert str(smaller) != str(model)  # the layers say their new sizes
    for key, value in model.state_dict().items():
        assert torch.equal(value, untouched[key])


def test_layers_that_are_not_named_keep_all_units() -> None:
    smaller = chain.without_units(_model("mlp"), {"1": torch.arange(128) < 5})
    assert [link.layer.weight.shape for link in chain.links(smaller)] == [(5, 144), (64, 5), (3, 64)]


@pytest.mark.parametrize("kind", chain.ZERO_TO_ZERO, ids=lambda kind: kind.__name__)
def test_what_stands_between_layers_turns_zeros_into_zeros(kind: type[nn.Module]) -> None:
    module: nn.Module = kind().eval()
    assert (module(torch.zeros(2, 3, 4, 4)) == 0).all()


class _Residual(nn.Sequential):
    def forward(self, inputs: Tensor) -> Tensor:
        outputs = inputs
        for layer in self:
            outputs = layer(outputs)
        return inputs + outputs


def _tied() -> nn.Module:
    layer = nn.Linear(4, 4)
    return nn.Sequential(layer, nn.ReLU(), layer)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (nn.Sequential(nn.Linear(4, 4), nn.Sigmoid(), nn.Linear(4, 2)), r"layer '1' \(Sigmoid\) is not known"),
        (nn.Sequential(nn.Linear(4, 4), _Residual(nn.Linear(4, 4))), r"layer '1' \(_Residual\) is not known"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 3)), r"\(BatchNorm2d\) is not known"),
        (nn.Sequential(nn.Conv2d(2, 4, 3, groups=2), nn.Conv2d(4, 2, 3)), r"layer '0' \(Conv2d\) has groups"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Linear(4, 2)), r"cannot follow '0' without nn.Flatten"),
        (nn.Sequential(nn.Linear(4, 4), nn.Conv2d(4, 2, 1)), r"cannot follow '0'"),
        (
            nn.Sequential(nn.Linear(4, 4), nn.Flatten(), nn.Linear(8, 2)),
            r"\(Flatten\) comes after the units were lined",
        ),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(2), nn.Linear(4, 2)), r"\(Flatten\) does not line up"),
        (
            nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(10, 2)),
            r"takes 10 inputs, which are not .* 4 units",
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.Linear(8, 2)), r"takes 8 inputs"),
        (nn.Sequential(nn.Linear(4, 4), nn.MaxPool2d(2), nn.Linear(4, 2)), r"mixes units"),
        (nn.Sequential(parametrizations.weight_norm(nn.Linear(4, 4)), nn.Linear(4, 2)), r"Linear\) is not known"),
        (_tied(), r"shares its weights"),
        (nn.Sequential(nn.Linear(4, 2)), r"hidden units"),
        (nn.Bilinear(4, 4, 2), r"Bilinear"),
    ],
)
def test_models_that_are_no_chain_are_refused(model: nn.Module, message: str) -> None:
    with pytest.raises(TechniqueError, match=message) as refused:
        chain.links(model)
    assert "structure=unstructured" in str(refused.value)
