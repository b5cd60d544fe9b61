"""8-bit floats in training: refused where they are missing; emulated here, they train nearly as bf16 does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from frugal.errors import ConfigError, TechniqueError
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques import fp8
from frugal.techniques.amp import Amp
from frugal.techniques.fp8 import Fp8
from frugal.techniques.quantization import Quantization

from ..builders import config, train
from ..toys import NoDropout
from .resuming import assert_resumes
from .watch import Watch

ANYWHERE: dict[str, Any] = {"device": "auto"}  # "cpu" is refused before the device is looked at


@pytest.fixture
def emulated(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this machine could: torchao then rounds to 8-bit floats and multiplies in more."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(fp8, "why_not", lambda device: None)


def test_a_cpu_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    reason = r"fp8 needs a GPU of compute capability 8\.9 or later.*this is a CPU: use --with amp,dtype=bf16"
    with pytest.raises(ConfigError, match=f"device='cpu': {reason}"):
        train(config(), [Fp8()])
    with pytest.raises(TechniqueError, match=reason):
        train(config(**ANYWHERE), [Fp8()])


@pytest.mark.parametrize(("capability", "able"), [((8, 0), False), ((8, 9), True), ((9, 0), True)])
def test_what_a_gpu_can_do(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], able: bool) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "GPU X")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    answer = fp8.why_not(torch.device("cuda", 0))
    assert (answer is None) is able
    assert able or "this is GPU X of compute capability 8.0" in (answer or "")


def test_another_training_precision_or_quantization_is_refused() -> None:
    with pytest.raises(TechniqueError, match="both decide the training precision"):
        train(config(**ANYWHERE), [Fp8(), Amp()])
    with pytest.raises(TechniqueError, match="'fp8' cannot be combined with 'quantization'"):
        train(config(**ANYWHERE), [Fp8(), Quantization()])


@pytest.mark.usefixtures("emulated")
def test_a_model_without_fitting_layers_is_refused() -> None:
    class Narrow(Technique):
        name = "narrow"
        stage = Stage.ARCHITECTURE

        def build_model(self, run: Run, model: nn.Module) -> nn.Module:
            return nn.Sequential(nn.Flatten(), nn.Linear(16, 4))

    with pytest.raises(TechniqueError, match=r"fp8: the model 'mlp' has no linear layer .* multiples of 16"):
        train(config(**ANYWHERE), [Fp8(), Narrow()])


@pytest.mark.slow
@pytest.mark.usefixtures("emulated")
def test_ends_near_bf16_and_deploys_plain_layers() -> None:
    watch, plain = Watch(), Watch()
    eighth = train(config(epochs=6, **ANYWHERE), [NoDropout(), Fp8(), watch])
    sixteenth = train(config(epochs=6), [NoDropout(), Amp(), plain])
    assert eighth.techniques["fp8"] == {"fp8_layers": 2}  # the last has four outputs
    assert eighth.val_loss == pytest.approx(sixteenth.val_loss, rel=0.1)
    assert eighth.val_accuracy == pytest.approx(sixteenth.val_accuracy, abs=0.05)
    assert not torch.equal(watch.weights[-1]["1.weight"], plain.weights[-1]["1.weight"])
    assert [type(module) for module in watch.finished.modules()] == [
        type(module) for module in plain.finished.modules()
    ]
    for name, weight in watch.finished.state_dict().items():
        assert torch.equal(weight, watch.weights[-1][name])


@pytest.mark.slow
@pytest.mark.usefixtures("emulated")
def test_resumed_equals_uninterrupted(tmp_path: Path) -> None:
    assert_resumes(tmp_path, lambda: [Fp8()], 9, **ANYWHERE)
