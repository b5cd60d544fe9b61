"""Mixed precision: products in 16 bits, weights and losses in 32, the same training up to the digits that are left."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from frugal import registry
from frugal.errors import ConfigError, TechniqueError
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Batch, Forward, Stage, Technique
from frugal.techniques import amp
from frugal.techniques.accumulation import Accumulation
from frugal.techniques.amp import Amp
from frugal.techniques.optimizer import OptimizerChoice

from ..builders import config, same, train, weights
from ..toys import NoDropout, interrupt_at
from .resuming import assert_resumes

ANYWHERE: dict[str, Any] = {"device": "auto"}  # "cpu" is refused with fp16 before the device is looked at


@pytest.fixture
def fp16_on_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The CPU can do it, slowly: so the scaler is tested without a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(amp, "why_not", lambda dtype, device: None)


class Types(Technique):
    """Notes the types of numbers."""

    name = "types"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.outputs: set[tuple[bool, torch.dtype]] = set()
        self.others: set[torch.dtype] = set()

    def wrap_forward(self, run: Run, forward: Forward) -> Forward:
        def call(inputs: Tensor) -> Tensor:
            outputs = forward(inputs)
            self.outputs.add((run.model.training, outputs.dtype))
            return outputs

        return call

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        self.others.add(losses.dtype)
        return losses

    def before_update(self, run: Run) -> None:
        for parameter in run.model.parameters():
            assert parameter.grad is not None
            self.others |= {parameter.dtype, parameter.grad.dtype}


class Gradients(Technique):
    """Keeps the first step's gradients, as a later stage sees them."""

    name = "gradients"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.first: list[Tensor] = []

    def before_update(self, run: Run) -> None:
        if run.step == 0:
            self.first = [p.grad.clone() for p in run.model.parameters() if p.grad is not None]


class Scaled(Technique):
    """Multiplies the losses of chosen steps."""

    name = "scaled"
    stage = Stage.LOSS

    def __init__(self, factor: float, steps: set[int] | None = None) -> None:
        self.factor = factor
        self.steps = steps

    def compute_losses(self, run: Run, batch: Batch, outputs: Tensor, losses: Tensor) -> Tensor:
        return losses * self.factor if self.steps is None or run.step in self.steps else losses


def test_outputs_are_bf16_and_weights_gradients_and_losses_float32() -> None:
    types = Types()
    train(config(epochs=1), [Amp(), types])
    assert types.outputs == {(True, torch.bfloat16), (False, torch.bfloat16)}
    assert types.others == {torch.float32}


@pytest.mark.parametrize(("model", "epochs"), [("mlp", 6), ("cnn", 2)])
def test_bf16_ends_near_float32(tmp_path: Path, model: str, epochs: int) -> None:
    """bf16 has 8 bits: single values are off by up to 0.4 %."""
    settings: dict[str, Any] = {"model": model, "epochs": epochs}
    full = train(config(tmp_path / "full", **settings), [NoDropout()])
    mixed = train(config(tmp_path / "mixed", **settings), [NoDropout(), Amp()])
    assert mixed.val_loss == pytest.approx(full.val_loss, rel=0.03)
    assert mixed.val_accuracy == pytest.approx(full.val_accuracy, abs=0.05)
    assert not same(weights(tmp_path / "full"), weights(tmp_path / "mixed"))


@pytest.mark.usefixtures("fp16_on_cpu")
@pytest.mark.parametrize("parts", [1, 4])
def test_gradients_of_fp16_are_true_to_scale(parts: int) -> None:
    """Scaled back once, however many micro-batches there were."""
    plain, scaled = Gradients(), Gradients()
    train(config(epochs=1), [NoDropout(), plain])
    train(config(epochs=1, **ANYWHERE), [NoDropout(), Amp("fp16"), Accumulation(micro_batches=parts), scaled])
    for one, other in zip(plain.first, scaled.first, strict=True):
        torch.testing.assert_close(one, other, rtol=0.02, atol=1e-4)


@pytest.mark.usefixtures("fp16_on_cpu")
def test_scaling_saves_gradients_too_small_for_fp16() -> None:
    found = {}
    for init_scale in (1.0, 2.0**16):
        gradients = Gradients()
        train(config(epochs=1, **ANYWHERE), [Scaled(1e-7), Amp("fp16", init_scale=init_scale), gradients])
        found[init_scale] = sum(gradient.abs().sum().item() for gradient in gradients.first)
    assert found[1.0] == 0
    assert found[2.0**16] > 1e-8


@pytest.mark.usefixtures("fp16_on_cpu")
def test_a_step_that_overflows_is_skipped_and_halves_the_scale(tmp_path: Path) -> None:
    """The fifth step does."""

    def techniques() -> list[Technique]:
        return [Scaled(math.inf, {4}), Amp("fp16"), OptimizerChoice("sgd", lr=0.1)]

    for step in (4, 5, 6):
        signals = StopSignals()
        train(config(tmp_path / str(step), **ANYWHERE), [*techniques(), interrupt_at(step, signals)], signals=signals)
    assert same(weights(tmp_path / "4"), weights(tmp_path / "5"))
    assert not same(weights(tmp_path / "5"), weights(tmp_path / "6"))

    result = train(config(tmp_path / "whole", **ANYWHERE), techniques())
    assert result.techniques["amp"] == {"dtype": "fp16", "scale": 2.0**15, "skipped_steps": 1}
    assert all(tensor.isfinite().all() for tensor in weights(tmp_path / "whole").values())


@pytest.mark.usefixtures("fp16_on_cpu")
@pytest.mark.parametrize("step", [4, 5])
def test_the_scaler_resumes(tmp_path: Path, step: int) -> None:
    result = assert_resumes(tmp_path, lambda: [Scaled(math.inf, {4}), Amp("fp16")], step, **ANYWHERE)
    assert result.techniques["amp"]["skipped_steps"] == 1


def test_bf16_resumes_with_another_technique(tmp_path: Path) -> None:
    assert_resumes(tmp_path, lambda: [Amp(), OptimizerChoice("momentum", lr=0.05)], 9)


def test_the_cpu_knows_bf16_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for dtype, needed in (("fp16", "a CUDA GPU"), ("fp8", r"a GPU of compute capability 8\.9")):
        reason = rf"amp,dtype={dtype} needs {needed}.*this is a CPU: use --with amp,dtype=bf16"
        with pytest.raises(ConfigError, match=f"device='cpu': {reason}"):
            train(config(), [Amp(dtype)])
        with pytest.raises(TechniqueError, match=reason):
            train(config(**ANYWHERE), [Amp(dtype)])


@pytest.mark.parametrize(
    ("dtype", "capability", "reason"),
    [
        ("fp8", (8, 0), r"compute capability 8\.9 or later.*this is GPU X of compute capability 8\.0"),
        ("fp8", (9, 0), "GPU X has 8-bit floats, torch's autocast has none: use --with fp8"),
        ("bf16", (7, 5), "GPU X has no bf16 of its own: use --with amp,dtype=fp16"),
        ("fp16", (7, 5), None),
        ("bf16", (8, 0), None),
    ],
)
def test_what_a_gpu_can_do(
    monkeypatch: pytest.MonkeyPatch, dtype: str, capability: tuple[int, int], reason: str | None
) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU X")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: capability >= (8, 0))
    answer = amp.why_not(dtype, torch.device("cuda", 0))
    assert (answer is None) == (reason is None)
    assert reason is None or re.search(reason, answer or "")


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("dtype=fp32", "dtype='fp32': use one of bf16, fp16"),
        ("init-scale=0.5", "init_scale=0.5: use a number from 1 to"),
        ("init-scale=nan", "init_scale=nan: use a number"),
    ],
)
def test_options_that_cannot_be_used(options: str, complaint: str) -> None:
    with pytest.raises(TechniqueError, match=complaint):
        registry.create(f"amp,{options}")
