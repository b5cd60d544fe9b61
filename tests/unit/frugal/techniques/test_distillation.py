"""Distillation: a student learns more from a teacher than alone, and nothing but the student is deployed."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from frugal.checkpoint import decode
from frugal.data import DataSplits, load_digits
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Stage, Technique
from frugal.techniques import amp
from frugal.techniques.activation import Activation
from frugal.techniques.amp import Amp
from frugal.techniques.distillation import Distillation, soft_losses

from ..builders import config, newest, same, train, weights
from ..toys import Accumulation, Shrink, Smoothing, interrupt_at, never
from .resuming import assert_resumes

SEEDS = range(5)
LABELLED = 100


@pytest.fixture(scope="module")
def digits() -> DataSplits:
    return load_digits(Path())


@pytest.fixture(scope="module")
def few(digits: DataSplits) -> DataSplits:
    """As digits, with labels for few of its examples."""
    chosen = torch.randperm(len(digits.train), generator=torch.Generator().manual_seed(3))[:LABELLED]
    return dataclasses.replace(digits, train=digits.train.subset(chosen))


@pytest.fixture(scope="module")
def teacher(digits: DataSplits, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of an earlier run, on all the labels."""
    folder = tmp_path_factory.mktemp("teacher")
    train(config(folder, data="digits", epochs=5, batch_size=64, lr=5e-3), data=digits)
    return folder


def _accuracy(data: DataSplits, seed: int, *techniques: Technique) -> float:
    settings: dict[str, Any] = {"data": "digits", "epochs": 12, "batch_size": 20, "lr": 1e-2, "seed": seed}
    result = train(config(**settings), techniques, data=data)
    assert result.val_accuracy is not None
    return result.val_accuracy


@pytest.fixture(scope="module")
def alone(few: DataSplits) -> list[float]:
    return [_accuracy(few, seed) for seed in SEEDS]


def test_answers_beat_the_student_alone_for_every_seed(few: DataSplits, teacher: Path, alone: list[float]) -> None:
    taught = [_accuracy(few, seed, Distillation(str(teacher))) for seed in SEEDS]
    gains = [with_teacher - without for with_teacher, without in zip(taught, alone, strict=True)]
    assert min(gains) > 0
    assert sum(gains) / len(gains) > 0.02


def test_features_alone_beat_the_student_alone(few: DataSplits, teacher: Path, alone: list[float]) -> None:
    taught = [_accuracy(few, seed, Distillation(str(teacher), weight=0, hint_weight=1)) for seed in SEEDS]
    assert sum(taught) / len(taught) > sum(alone) / len(alone) + 0.005


def test_soft_losses_are_the_divergence_of_softened_answers() -> None:
    student, teacher = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    wanted, given = (teacher / 3).softmax(dim=1), (student / 3).softmax(dim=1)
    expected = 9 * (wanted * (wanted.log() - given.log())).sum(dim=1)
    torch.testing.assert_close(soft_losses(student, teacher, temperature=3), expected)
    assert soft_losses(teacher, teacher, temperature=3).abs().max() < 1e-6


def test_hot_soft_losses_pull_logits_together() -> None:
    """At high temperature the gradient is the logits' difference over the number of classes (Hinton, section 2.1)."""
    drawn = torch.randn(2, 6, 5, generator=torch.Generator().manual_seed(1))
    student, teacher = drawn - drawn.mean(dim=2, keepdim=True)
    student = student.clone()
    student.requires_grad_()
    torch.autograd.backward(soft_losses(student, teacher, temperature=1000).sum())
    torch.testing.assert_close(student.grad, (student - teacher).detach() / 5, rtol=0.02, atol=2e-3)


def test_teacher_never_changes(few: DataSplits, teacher: Path, tmp_path: Path) -> None:
    before = decode((teacher / "best.pt").read_bytes())["model"]
    technique = Distillation(str(teacher), hint_weight=1)
    train(config(tmp_path, data="digits"), [technique], data=few)
    assert same(newest(tmp_path)["learned"]["distillation"]["teacher"], before)
    assert same(dict(technique.state_dict()["teacher"]), before)


def test_student_is_deployed_without_projection_or_hooks(tmp_path: Path) -> None:
    class Deployed(Technique):
        name = "deployed"
        stage = Stage.CONTROL
        hooks: int = -1

        def finish(self, run: Run, model: nn.Module) -> nn.Module:
            self.hooks = sum(len(m._forward_hooks) + len(m._forward_pre_hooks) for m in model.modules())
            return model

    deployed = Deployed()
    train(config(tmp_path / "plain"))
    distillation = Distillation("cnn", teacher_epochs=1, hint_weight=1)
    result = train(config(tmp_path / "taught"), [distillation, deployed])
    assert deployed.hooks == 0
    best = decode((tmp_path / "taught" / "best.pt").read_bytes())["model"]
    for model in (weights(tmp_path / "taught"), best):
        assert {k: w.shape for k, w in model.items()} == {k: w.shape for k, w in weights(tmp_path / "plain").items()}
    figures = result.techniques["distillation"]
    assert figures["student_parameters"] == result.parameters == 16 * 128 + 128 + 128 * 64 + 64 + 64 * 4 + 4
    assert figures["teacher_parameters"] == 16 * 9 + 16 + 32 * 16 * 9 + 32 + 64 * 32 * 9 + 64 + 64 * 4 + 4


def test_projection_learns(tmp_path: Path) -> None:
    def projection(epochs: int) -> Mapping[str, Tensor]:
        directory = tmp_path / str(epochs)
        train(config(directory, epochs=epochs), [Distillation("cnn", 1, weight=0, hint_weight=1)])
        learned: Mapping[str, Tensor] = newest(directory)["learned"]["distillation"]["hint"]["projection"]
        return learned

    assert not same(projection(1), projection(2))


def test_teaching_leaves_the_students_randomness_alone(tmp_path: Path) -> None:
    """A hint too small to count: bit for bit the plain training, with a teacher trained before and a projection."""
    train(config(tmp_path / "plain"))
    train(config(tmp_path / "taught"), [Distillation("cnn", teacher_epochs=1, weight=0, hint_weight=1e-30)])
    assert same(weights(tmp_path / "plain"), weights(tmp_path / "taught"))


def test_resumes_with_accumulation_and_smoothing(tmp_path: Path) -> None:
    def techniques() -> list[Technique]:
        return [Smoothing(), Distillation("cnn", 1, hint_weight=0.5), Accumulation(parts=2)]

    assert_resumes(tmp_path, techniques, step=9)


@pytest.mark.parametrize("step", [4, 9])
def test_resumes_with_a_student_that_shrinks(tmp_path: Path, step: int) -> None:
    def techniques() -> list[Technique]:
        return [Shrink(), Distillation("mlp", 1, hint_weight=0.5, student_layer="2")]

    assert_resumes(tmp_path, techniques, step=step)


def test_resumes_though_the_teachers_folder_has_moved_on(tmp_path: Path) -> None:
    used = tmp_path / "used"
    train(config(used, epochs=1))
    train(config(tmp_path / "whole"), [Distillation(str(used)), never()])
    signals = StopSignals()
    train(config(tmp_path / "broken"), [Distillation(str(used)), interrupt_at(8, signals)], signals=signals)
    taught = newest(tmp_path / "broken")["learned"]["distillation"]["teacher"]
    train(config(used, epochs=1, seed=1, resume=False))
    assert not same(taught, decode((used / "best.pt").read_bytes())["model"])
    train(config(tmp_path / "broken"), [Distillation(str(used)), never()])
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


def test_stop_request_while_the_teacher_learns(tmp_path: Path) -> None:

    def techniques() -> list[Technique]:
        return [Distillation("cnn", teacher_epochs=2)]

    train(config(tmp_path / "whole"), techniques())
    signals = StopSignals()
    signals.install()
    try:
        signals.handle(15)
        with pytest.raises(SystemExit) as stopped:
            train(config(tmp_path / "broken"), techniques(), signals=signals)
    finally:
        signals.restore()
    assert stopped.value.code == 143
    assert newest(tmp_path / "broken" / "teacher")["position"]["step"] == 1
    train(config(tmp_path / "broken"), techniques())
    assert same(weights(tmp_path / "whole" / "teacher"), weights(tmp_path / "broken" / "teacher"))
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "broken"))


def test_teachers_layers_are_made_as_they_were(tmp_path: Path) -> None:
    """Weights alone do not tell GELU from ReLU; the answers do."""
    taught = train(config(tmp_path), [Activation("gelu")])
    figures = train(config(epochs=1), [Distillation(str(tmp_path))]).techniques["distillation"]
    assert figures["teacher_val_accuracy"] == taught.best_val_accuracy
    technique = Distillation(str(tmp_path))
    train(config(epochs=1), [technique])
    assert [type(m) for m in technique._teacher.modules()].count(nn.GELU) == 2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"teacher": "resnet"}, r"teacher='resnet': use a model \(mlp, cnn\b.*\) .*or the checkpoint folder"),
        ({"teacher_epochs": 0}, "teacher_epochs=0: use at least 1"),
        ({"temperature": 0.0}, r"temperature=0\.0: use a number above 0"),
        ({"weight": 1.5}, r"weight=1\.5: use a share from 0 to 1"),
        ({"hint_weight": -1.0}, r"hint_weight=-1\.0: use 0 or a positive number"),
        ({"weight": 0.0}, "nothing is distilled: set weight or hint_weight"),
    ],
)
def test_refuses_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(TechniqueError, match=message):
        Distillation(**options)


def test_refuses_teachers_that_do_not_fit(tmp_path: Path, teacher: Path) -> None:
    with pytest.raises(TechniqueError, match=r"no sound best\.pt there: name the --checkpoint-dir"):
        train(config(), [Distillation(str(tmp_path / "nothing"))])
    with pytest.raises(TechniqueError, match="it learned 'digits', this run learns 'blobs'"):
        train(config(), [Distillation(str(teacher))])
    with pytest.raises(TechniqueError, match=r"weights do not fit the model 'mlp' .*size mismatch"):
        train(config(data="digits"), [Distillation(str(teacher))])
    train(config(tmp_path / "odd"), [never()])
    with pytest.raises(TechniqueError, match="its technique 'stop-at' cannot be made again"):
        train(config(), [Distillation(str(tmp_path / "odd"))])


def test_refuses_a_hint_beside_a_loss_scaler_before_a_teacher_is_trained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The scaler knows the model's gradients only: those of the projection would stay 65536 times too large."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(amp, "why_not", lambda dtype, device: None)  # the CPU can do fp16, slowly
    settings = config(tmp_path, epochs=1, device="auto")
    with pytest.raises(
        TechniqueError, match=r"hint_weight=0\.5 .* amp,dtype=fp16.*: use hint_weight=0, or amp,dtype=bf16"
    ):
        train(settings, [Distillation("mlp", 1, hint_weight=0.5), Amp("fp16")])
    assert not (tmp_path / "teacher").exists()


@pytest.mark.parametrize(("hint_weight", "dtype"), [(0.0, "fp16"), (0.5, "bf16")])
def test_the_remedies_for_a_hint_beside_a_loss_scaler_train(
    monkeypatch: pytest.MonkeyPatch, hint_weight: float, dtype: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(amp, "why_not", lambda dtype, device: None)
    techniques = [Distillation("mlp", 1, hint_weight=hint_weight), Amp(dtype)]
    assert train(config(epochs=1, device="auto"), techniques).outcome == "completed"


def test_refuses_layers_that_are_not_there() -> None:
    with pytest.raises(TechniqueError, match="student_layer='9': no such layer: use one of 0, 1"):
        train(config(), [Distillation("mlp", 1, hint_weight=1, student_layer="9")])
