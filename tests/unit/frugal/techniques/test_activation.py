"""Other activations: the chosen function stands where ReLU stood, and its zeros are counted right."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from frugal import registry
from frugal.errors import TechniqueError
from frugal.methods import activations
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques.activation import Activation

from ..builders import config, same, train, weights
from ..toys import Accumulation
from .resuming import assert_resumes

FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": functional.relu,
    "leaky-relu": functional.leaky_relu,
    "relu6": functional.relu6,
    "hardswish": functional.hardswish,
    "gelu": functional.gelu,
    "silu": functional.silu,
    "prelu": lambda values: functional.prelu(values, torch.tensor([0.25])),
}


def _built(kind: str, model: nn.Module) -> nn.Module:
    """``model`` with its ReLUs replaced."""
    activations.replace_relu(model, lambda: activations.create(kind, 0.25))
    return model


def test_every_kind_is_compared_with_torchs_function() -> None:
    assert FUNCTIONS.keys() == activations.KINDS.keys()


@pytest.mark.parametrize("kind", sorted(FUNCTIONS))
def test_values_equal_torchs(kind: str) -> None:
    values = torch.linspace(-8, 8, 101)
    first, second = nn.Linear(1, 1), nn.Linear(1, 1)
    model = _built(kind, nn.Sequential(first, nn.ReLU(), nn.Sequential(nn.ReLU(), second)))
    expected = second(FUNCTIONS[kind](FUNCTIONS[kind](first(values[:, None]))))
    assert torch.equal(model(values[:, None]), expected)


@pytest.mark.parametrize("shape", [(7, 40), (3, 8, 5, 5), (2, 6, 10)])
@pytest.mark.parametrize("keep", [0.05, 0.3, 1.0])
def test_top_k_keeps_exactly_the_largest_of_each_example(shape: tuple[int, ...], keep: float) -> None:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(1))
    result = activations.TopK(keep)(values)
    kept = round(keep * values[0].numel())
    for before, after in zip(values.flatten(1), result.flatten(1), strict=True):
        chosen = after != 0
        assert int(chosen.sum()) == kept
        assert torch.equal(after[chosen], before[chosen])
        assert chosen.all() or before[chosen].min() > before[~chosen].max()


def test_top_k_is_exact_among_equal_values_and_keeps_one_at_least() -> None:
    assert (activations.TopK(0.25)(torch.ones(3, 8)) != 0).sum(dim=1).tolist() == [2, 2, 2]
    assert (activations.TopK(0.01)(torch.ones(3, 8)) != 0).sum(dim=1).tolist() == [1, 1, 1]


def test_gradient_of_top_k_flows_through_what_is_kept() -> None:
    values = torch.tensor([[1.0, -2.0, 3.0, -4.0]], requires_grad=True)
    activations.TopK(0.5)(values).sum().backward()
    assert values.grad is not None
    assert values.grad.tolist() == [[1.0, 0.0, 1.0, 0.0]]


def test_a_module_that_stands_in_two_places_is_replaced_in_both() -> None:
    shared = nn.ReLU()
    model = _built("prelu", nn.Sequential(shared, nn.Linear(2, 2), shared))
    assert [type(layer).__name__ for layer in model.children()] == ["PReLU", "Linear", "PReLU"]
    assert model[0] is not model[2]  # type: ignore[index]


def test_measured_sparsity_of_top_k_is_what_was_asked_for() -> None:
    figures = train(config(epochs=1), [Activation("top-k", keep=0.25)]).techniques["activation"]
    assert figures == {"layers": 2, "sparsity": 0.75}


def test_measured_sparsity_of_relu_is_that_of_its_outputs() -> None:
    class ByHand(Technique):
        name = "by-hand"
        stage = Stage.CONTROL
        zeros: float = 0.0

        def finish(self, run: Run, model: nn.Module) -> nn.Module:
            inputs, _ = run.data.validation.batch(torch.arange(40), run.device)
            flatten, first, relu, _, second, *_ = model.eval().children()
            hidden = relu(first(flatten(inputs)))
            values = torch.cat([hidden, relu(second(hidden))], dim=1)
            self.zeros = float((values == 0).double().mean())
            return model

    by_hand = ByHand()
    figures = train(config(), [Activation(), by_hand]).techniques["activation"]
    assert 0.2 < by_hand.zeros < 0.8
    assert figures == {"layers": 2, "sparsity": pytest.approx(by_hand.zeros, abs=1e-6)}


def test_relu_leaves_the_training_as_it_is(tmp_path: Path) -> None:
    train(config(tmp_path / "plain"))
    train(config(tmp_path / "relu"), [Activation("relu")])
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "relu"))


def test_slopes_of_prelu_are_learned(tmp_path: Path) -> None:
    train(config(tmp_path), [Activation("prelu")])
    assert weights(tmp_path)["2.weight"].item() != 0.25


@pytest.mark.parametrize("kind", ["prelu", "top-k"])
def test_resumes_with_accumulation(tmp_path: Path, kind: str) -> None:
    assert_resumes(tmp_path, lambda: [Activation(kind), Accumulation(parts=2)], step=9)


def test_refuses_what_it_does_not_know() -> None:
    with pytest.raises(TechniqueError, match=r"kind='tanh': use one of relu, leaky-relu, .*, top-k"):
        registry.create("activation,kind=tanh")
    for keep in ("0", "1.5", "nan"):
        with pytest.raises(TechniqueError, match=r"keep=.*: use a share above 0"):
            registry.create(f"activation,kind=top-k,keep={keep}")


class _Replaced(Technique):
    """Comes with a model of its own."""

    name = "replaced"
    stage = Stage.ARCHITECTURE

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        return nn.Sequential(nn.Flatten(), nn.Linear(16, 4))


def test_refuses_a_model_without_relu() -> None:
    with pytest.raises(TechniqueError, match=r"kind='silu': the model 'mlp' has no nn\.ReLU module"):
        train(config(), [_Replaced(), Activation("silu")])


def test_refuses_to_be_undone_by_a_later_technique() -> None:
    with pytest.raises(TechniqueError, match="name activation after it"):
        train(config(), [Activation("silu"), _Replaced()])
