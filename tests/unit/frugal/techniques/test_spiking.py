"""Training of spiking networks: they learn, resume exactly, go with other techniques, and are made more silent."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn

from frugal import models, registry
from frugal.config import TrainConfig
from frugal.costs.flops import count_flops
from frugal.data import DataSplits, TensorExamples
from frugal.errors import TechniqueError
from frugal.methods import spiking
from frugal.methods.spiking_counts import count
from frugal.run import Run
from frugal.technique import Batch, Stage, Technique
from frugal.techniques.accumulation import Accumulation
from frugal.techniques.activation import Activation
from frugal.techniques.amp import Amp
from frugal.techniques.compile import Compile
from frugal.techniques.distillation import Distillation
from frugal.techniques.pruning import Pruning
from frugal.techniques.spiking import Spiking
from frugal.trainer import Trainer

from ..builders import blobs, config, same, train, weights
from ..toys import NoDropout, never
from .resuming import assert_resumes
from .watch import Watch


def spiking_figures(*techniques: Technique, **changes: Any) -> dict[str, Any]:
    """Of a training on `blobs`."""
    return dict(train(config(**changes), techniques).techniques["spiking"])


@pytest.mark.parametrize(("coding", "least"), [("direct", 0.9), ("rate", 0.75)])
def test_learns(coding: str, least: float) -> None:
    """Four classes: chance would be 0.25."""
    result = train(config(epochs=12, lr=1e-2), [Spiking(coding=coding)])
    assert (result.val_accuracy or 0) > least
    assert 0 < cast("float", result.techniques["spiking"]["sparsity"]) < 1


@pytest.mark.slow
def test_learns_digits() -> None:
    settings = TrainConfig(data="digits", epochs=12, device="cpu", threads=1, report_every=1000)
    result = Trainer(settings, [Spiking(steps=4, penalty=1.0)]).train()
    assert (result.val_accuracy or 0) > 0.95
    figures = cast("dict[str, float]", result.techniques["spiking"])
    # Silent enough to go through fewer synapses in four steps than the dense layers have multiply-adds in one pass.
    assert figures["synaptic_operations_per_example"] < (figures["dense_macs"] - figures["first_layer_macs"]) / 2


@pytest.mark.parametrize(
    "make",
    [
        lambda: [Spiking(penalty=0.5), Accumulation(micro_batches=3)],
        lambda: [Spiking(coding="rate", steps=2)],
        lambda: [Spiking(penalty=0.5, steps=2), Pruning(sparsity=0.6, begin=0.2, end=0.6)],
    ],
    ids=["accumulation", "rate", "pruning"],
)
def test_resumes_exactly(tmp_path: Path, make: Callable[[], list[Technique]]) -> None:
    assert_resumes(tmp_path, make, step=9)


def test_accumulation_equals_the_large_batch(tmp_path: Path) -> None:
    """Up to rounding: a spike more or less would show."""
    for parts in (1, 4):
        techniques = [Spiking(penalty=0.3), NoDropout(), Accumulation(micro_batches=parts)]
        train(config(tmp_path / str(parts), epochs=1), techniques)
    one, other = weights(tmp_path / "1"), weights(tmp_path / "4")
    assert all(torch.allclose(one[name], other[name], atol=2e-4) for name in one)


@pytest.mark.slow
def test_compiled_equals_eager(tmp_path: Path) -> None:
    """In one graph, although neurons keep membranes from step to step."""
    train(config(tmp_path / "eager"), [Spiking(penalty=0.3)])
    train(config(tmp_path / "compiled"), [Spiking(penalty=0.3), Compile(backend="eager")])
    assert same(weights(tmp_path / "eager"), weights(tmp_path / "compiled"))


def test_spikes_stay_whole_in_mixed_precision() -> None:
    class Seen(Technique):
        name = "seen"
        stage = Stage.CONTROL
        values: set[float]

        def start(self, run: Run) -> None:
            self.values = set()
            for module in run.model.modules():
                if isinstance(module, spiking.Neurons):
                    module.register_forward_hook(lambda _, __, out: self.values.update(out.unique().tolist()))

    seen = Seen()
    train(config(epochs=1), [Spiking(), Amp(), seen])
    assert seen.values == {0.0, 1.0}


def test_figures_are_those_of_the_trained_network_on_validation_examples() -> None:
    watch = Watch()
    figures = spiking_figures(Spiking(steps=3), watch)
    validation = blobs().validation
    counts = count(watch.trained, validation.batch(torch.arange(len(validation)), torch.device("cpu"))[0])
    assert figures["spikes_per_example"] == pytest.approx(float(counts.spikes.sum()) / 40)
    assert figures["synaptic_operations_per_example"] == pytest.approx(float(counts.synaptic_operations.sum()) / 40)
    assert figures["sparsity"] == pytest.approx(1 - figures["spikes_per_example"] / (3 * (128 + 64)))
    assert figures["spikes_per_example"] > 0
    assert figures["neuron_updates_per_example"] == 3 * (128 + 64)
    assert (figures["time_steps"], figures["neurons"], figures["counted_examples"]) == (3, 192, 40)


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_multiply_adds_of_the_dense_twin_and_of_the_first_layer(name: str) -> None:
    figures = spiking_figures(Spiking(), model=name, epochs=1)
    dense = models.build(name, (1, 4, 4), 4)
    assert figures["dense_macs"] == count_flops(dense, (1, 4, 4)) / 2
    assert figures["first_layer_macs"] == {"mlp": 16 * 128, "cnn": 16 * 16 * 9}[name]


def test_rate_coded_inputs_need_no_multiplications() -> None:
    figures = spiking_figures(Spiking(coding="rate"), epochs=1)
    assert figures["first_layer_macs"] == 0
    assert 0 < figures["input_spikes_per_example"] < 4 * 16
    assert figures["synaptic_operations_per_example"] > 128 * figures["input_spikes_per_example"]


def test_pruned_weights_are_no_synapses() -> None:
    figures = spiking_figures(Spiking(), Pruning(sparsity=0.9, begin=0, end=0, scope="layer"))
    # At most a tenth of what the same spikes would go through in dense layers of 64 and of 4 units.
    assert 0 < figures["synaptic_operations_per_example"] < 0.2 * 64 * figures["spikes_per_example"]


def test_penalty_makes_the_network_more_silent() -> None:
    plain, penalised = (
        spiking_figures(Spiking(penalty=penalty), epochs=5, lr=5e-3)["synaptic_operations_per_example"]
        for penalty in (0.0, 3.0)
    )
    assert penalised < 0.7 * plain


def test_penalty_is_synaptic_operations_by_the_dense_networks_multiply_adds() -> None:
    model = models.build("mlp", (1, 4, 4), 4)
    dense = count_flops(model, (1, 4, 4)) // 2
    technique = Spiking(steps=3, penalty=0.7)
    data = blobs()
    run = cast("Run", SimpleNamespace(data=data, model=model, step=0, total_steps=100))
    run.model = technique.build_model(run, model)
    dropout = next(module for module in run.model.modules() if isinstance(module, nn.Dropout))
    dropout.p = 0.0
    inputs, labels = data.train.batch(torch.arange(5), torch.device("cpu"))
    batch = Batch(inputs=inputs, targets=labels, labels=labels, indices=torch.arange(5), weights=torch.ones(5))
    operations = count(run.model, inputs).synaptic_operations
    assert operations.min() > 0

    def added(step: int) -> Tensor:
        run.step = step
        technique.transform_batch(run, batch)
        outputs = run.model.train()(inputs)
        return technique.compute_losses(run, batch, outputs, torch.zeros(5))

    assert added(0).tolist() == [0] * 5
    assert torch.allclose(added(25).double(), 0.35 * operations / dense)
    assert torch.allclose(added(80).double(), 0.7 * operations / dense)
    torch.autograd.backward(added(80).sum())
    first = next(run.model.parameters())
    assert first.grad is not None
    assert first.grad.any()


def test_without_penalty_losses_stay_as_they_are() -> None:
    run = cast("Run", SimpleNamespace(model=nn.Identity()))
    losses = torch.rand(3)
    assert Spiking().compute_losses(run, cast("Batch", None), losses, losses) is losses


class _Replaced(Technique):
    """Comes with a model of its own."""

    name = "replaced"
    stage = Stage.ARCHITECTURE

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        return models.build("mlp", run.data.shape, run.data.classes)


def test_refuses_to_be_undone_by_a_later_technique() -> None:
    with pytest.raises(TechniqueError, match="replaced the model afterwards: name spiking after it"):
        train(config(), [Spiking(), _Replaced()])
    train(config(epochs=1), [_Replaced(), Spiking()])


def test_refuses_hidden_layers_as_hints_and_other_activations() -> None:
    with pytest.raises(TechniqueError, match=r"'distillation' compares hidden layers.*hint_weight=0"):
        train(config(), [Spiking(), Distillation("mlp", teacher_epochs=1, hint_weight=1.0)])
    with pytest.raises(TechniqueError, match="'spiking' cannot be combined with 'activation'"):
        train(config(), [Spiking(), Activation()])


@pytest.mark.parametrize(
    "spec",
    ["steps=0", "coding=phase", "beta=1.5", "beta=nan", "threshold=0", "threshold=inf", "penalty=-1", "penalty=nan"],
)
def test_refuses_options(spec: str) -> None:
    with pytest.raises(TechniqueError, match=rf"spiking: {spec.partition('=')[0]}=.*: use "):
        registry.create(f"spiking,{spec}")


def test_refuses_to_rate_code_inputs_that_are_all_alike() -> None:
    flat = TensorExamples(torch.ones(20, 1, 4, 4), torch.arange(20) % 4)
    data = DataSplits(train=flat, validation=flat, test=None, shape=(1, 4, 4), classes=4)
    with pytest.raises(TechniqueError, match=r"all inputs .* are alike"):
        train(config(), [Spiking(coding="rate"), never()], data=data)
