"""A quantized model is smaller, answers nearly as the float one, and owes nothing to validation examples."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frugal import data, registry
from frugal.config import DEFAULT_DATA_DIR
from frugal.costs.flops import count_flops, stored_bytes
from frugal.data import DataSplits, TensorExamples
from frugal.errors import ConfigError, TechniqueError
from frugal.methods.quantizing import LARGEST, Int8
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques.quantization import CAST_KINDS, INTEGER_KINDS, KINDS, WEIGHT_KINDS, Quantization

from ..builders import blobs, config, train
from .watch import Watch

SMALLER = {"int4-weights": 5.5, "bf16": 1.99, "fp16": 1.99}  # by which factor; all others by 3


@pytest.fixture(scope="module")
def digits() -> DataSplits:
    return data.load("digits", DEFAULT_DATA_DIR)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_deployed_model_is_smaller_and_near(model: str, kind: str) -> None:
    watch = Watch()
    result = train(config(model=model), [Quantization(kind), watch])
    inputs = blobs().validation.batch(torch.arange(40), torch.device("cpu"))[0]
    with torch.no_grad():
        trained, deployed = watch.trained(inputs), watch.finished(inputs)
    error = (deployed - trained).abs().max() / trained.abs().max()
    assert 0 < error < (0.3 if kind == "int4-weights" else 0.05)

    figures = result.techniques["quantization"]
    before, after = stored_bytes(watch.trained), stored_bytes(watch.finished)
    assert (figures["bytes_before"], figures["bytes_after"]) == (before, after)
    assert before > SMALLER.get(kind, 3) * after
    macs = count_flops(watch.trained, (1, 4, 4)) // 2
    arithmetic = "int8" if kind in INTEGER_KINDS else kind if kind in CAST_KINDS else "fp32"
    assert {name: value for name, value in figures.items() if name.startswith("mac")} == {f"mac_{arithmetic}": macs}
    assert figures["kind"] == kind
    assert figures["quantized_layers"] == (0 if kind in CAST_KINDS else {"mlp": 3, "cnn": 4}[model])
    assert figures["float_layers"] == ""


@pytest.fixture(scope="module")
def accuracy_in_float(digits: DataSplits) -> float:
    accuracy = train(config(epochs=3), data=digits).val_accuracy
    assert accuracy is not None
    assert accuracy > 0.9
    return accuracy


@pytest.mark.slow
@pytest.mark.parametrize("kind", [*INTEGER_KINDS, "int8-weights", "int4-weights", "bf16"])
def test_accuracy_on_digits_stays(digits: DataSplits, accuracy_in_float: float, kind: str) -> None:
    """Within one percentage point, within two of it with four bits."""
    quantized = train(config(epochs=3), [Quantization(kind)], data=digits)
    assert quantized.val_accuracy == pytest.approx(accuracy_in_float, abs=0.02 if kind == "int4-weights" else 0.01)


@pytest.mark.parametrize("kind", ["static", "qat"])
def test_validation_examples_decide_nothing(kind: str) -> None:
    """Other validation examples, fifty times as large: the deployed model is the same, bit for bit."""
    deployed = []
    for factor in (1, 50):
        splits, watch = blobs(), Watch()
        assert isinstance(splits.validation, TensorExamples)
        larger = TensorExamples(splits.validation.inputs * factor, splits.validation.labels)
        train(config(model="cnn"), [Quantization(kind), watch], data=replace(splits, validation=larger, test=larger))
        deployed.append(watch.finished)
    assert [layer.inputs for layer in _integer_layers(deployed[0])] == [
        layer.inputs for layer in _integer_layers(deployed[1])
    ]
    for one, other in zip(deployed[0].state_dict().values(), deployed[1].state_dict().values(), strict=True):
        assert torch.equal(one, other)


def test_as_many_training_examples_are_measured_as_asked_for() -> None:
    """One outlier among 101 is found with all of them, and with few only if it is drawn."""
    splits = blobs()
    assert isinstance(splits.train, TensorExamples)
    splits.train.inputs[50, 0, 0, 0] = 70.0
    steps = {}
    for count in (5, 101):
        watch = Watch()
        train(config(epochs=1), [Quantization(calibration=count), watch], data=splits)
        first = _integer_layers(watch.finished)[0].inputs
        assert first is not None
        steps[count] = first.step
    assert 255 * steps[101] > 70 > 10 * 255 * steps[5]


def test_float_training_is_left_as_it_is() -> None:
    """Only ``qat`` trains otherwise, and from its beginning on."""
    plain, late, early, static = Watch(), Watch(), Watch(), Watch()
    train(config(), [plain])
    train(config(), [Quantization(), static])
    train(config(), [Quantization("qat", begin=0.5), late])
    train(config(), [Quantization("qat", begin=0.0), early])
    assert _equal(plain, static) == 21
    assert _equal(plain, late) == 11  # the first step that begins at half of the training or later is the twelfth
    assert _equal(plain, early) == 0


@pytest.mark.slow
def test_aware_training_makes_up_for_coarse_weights(digits: DataSplits, monkeypatch: pytest.MonkeyPatch) -> None:
    """With weights of -1, 0 and 1 only, a model that knew is much nearer to the labels than one that did not."""
    monkeypatch.setitem(LARGEST, 8, 1)
    losses = {}
    for kind in ("static", "qat"):
        losses[kind] = train(config(epochs=3, seed=1), [Quantization(kind, begin=0.3)], data=digits).val_loss or 0
    assert 0 < losses["qat"] < 0.75 * losses["static"]


def test_aware_training_that_ends_early_is_measured_instead(caplog: pytest.LogCaptureFixture) -> None:
    class Enough(Technique):
        name = "enough"
        stage = Stage.CONTROL

        def after_step(self, run: Run) -> None:
            if run.step == 3:
                run.request_stop("enough")

    stopped, watch = Watch(), Watch()
    train(config(), [Quantization("qat", begin=0.9), Enough(), watch])
    train(config(), [Quantization("static"), Enough(), stopped])
    assert "training ended after 3 of" in caplog.text
    inputs = blobs().validation.batch(torch.arange(40), torch.device("cpu"))[0]
    assert torch.equal(watch.finished(inputs), stopped.finished(inputs))


class Head(Technique):
    """Ends the model otherwise."""

    name = "head"
    stage = Stage.ARCHITECTURE

    def __init__(self, *layers: nn.Module) -> None:
        self.layers = layers

    def build_model(self, run: Run, model: nn.Module) -> nn.Module:
        return nn.Sequential(*self.layers)


def _norm_model() -> Head:
    return Head(nn.Flatten(), nn.LayerNorm(16), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))


@pytest.mark.parametrize("kind", [*INTEGER_KINDS, *WEIGHT_KINDS])
def test_layers_that_stay_in_float_are_named(kind: str) -> None:
    figures = train(config(epochs=1), [_norm_model(), Quantization(kind)]).techniques["quantization"]
    assert (figures["quantized_layers"], figures["float_layers"]) == (2, "1")


def test_of_many_layers_that_stay_in_float_a_few_are_named() -> None:
    """All results together must fit into a pod's status."""
    norms = Head(nn.Flatten(), *(nn.LayerNorm(16) for _ in range(10)), nn.Linear(16, 4))
    for kind, named in (("static", "1, 2, 3, 4, 5, 6, 7, 8, and 2 more"), ("bf16", "")):
        assert train(config(epochs=1), [norms, Quantization(kind)]).techniques["quantization"]["float_layers"] == named


def test_model_without_layers_to_quantize_is_refused_before_training() -> None:
    class Mean(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.randn(16, 4))

        def forward(self, inputs: Tensor) -> Tensor:
            return inputs.flatten(1) @ self.weight

    for kind in (*INTEGER_KINDS, *WEIGHT_KINDS):
        watch = Watch()
        with pytest.raises(TechniqueError, match=rf"quantization,kind={kind}: the model has no plain linear layer"):
            train(config(), [Head(Mean()), Quantization(kind), watch])
        assert not watch.weights
    train(config(epochs=1), [Head(Mean()), Quantization("bf16")])


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("kind=int3", "quantization,kind='int3': use one of dynamic, static, qat, int8-weights"),
        ("calibration=0", "quantization,calibration=0: use at least 1"),
        ("begin=1.0", r"quantization,begin=1\.0: use a share of the training"),
        ("begin=nan", "quantization,begin=nan: use a share"),
    ],
)
def test_options_that_cannot_be_used(options: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        registry.create(f"quantization,{options}")


def _integer_layers(model: nn.Module) -> list[Int8]:
    return [module for module in model.modules() if isinstance(module, Int8)]


def _equal(one: Watch, other: Watch) -> int:
    """After how many steps the weights still were the same."""
    steps: list[dict[str, Any]] = one.weights
    for count, (mine, theirs) in enumerate(zip(steps, other.weights, strict=True)):
        if not all(torch.equal(value, theirs[name]) for name, value in mine.items()):
            return count
    return len(steps)
