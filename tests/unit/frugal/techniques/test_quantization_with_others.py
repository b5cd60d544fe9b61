"""Quantization-aware training resumes bit for bit, and quantization goes together with other techniques."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from frugal.costs.flops import measure, stored_bytes
from frugal.distributed import World
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.technique import Stage, Technique
from frugal.techniques.accumulation import Accumulation
from frugal.techniques.amp import Amp
from frugal.techniques.compile import Compile
from frugal.techniques.distillation import Distillation
from frugal.techniques.pruning import Pruning
from frugal.techniques.quantization import INTEGER_KINDS, Quantization, _largest_of_all

from ..builders import blobs, config, train
from ..toys import HardExamples, NoDropout, Shrink
from .resuming import assert_resumes
from .watch import Watch

INPUTS = blobs().validation.batch(torch.arange(40), torch.device("cpu"))[0]


@pytest.mark.parametrize("step", [5, 11, 14])
def test_resumed_equals_uninterrupted(tmp_path: Path, step: int) -> None:
    """Of 21 steps: before it begins, as it begins, and between two epochs."""
    assert_resumes(tmp_path, lambda: [Quantization("qat", begin=0.5)], step)


def test_convolutions_resume(tmp_path: Path) -> None:
    assert_resumes(tmp_path, lambda: [Quantization("qat", begin=0.2)], 9, model="cnn")


def test_resumes_where_the_training_gets_shorter_and_the_model_smaller(tmp_path: Path) -> None:
    def techniques() -> list[Technique]:
        return [Quantization("qat", begin=0.4), HardExamples(), Shrink()]

    assert_resumes(tmp_path, techniques, 6)


def test_resumes_where_the_training_gets_longer(tmp_path: Path) -> None:
    """What has begun after 30 % does not end as the 30 % turn out to be later."""

    class Longer(Technique):
        name = "longer"
        stage = Stage.DATA

        def epoch_order(self, run: Run, order: Tensor) -> Tensor:
            return torch.cat([order, order]) if run.epoch == 1 else order

    assert_resumes(tmp_path, lambda: [Quantization("qat", begin=0.3), Longer()], 8)


def test_micro_batches_teach_the_same_reaches() -> None:
    whole, parts = Watch(), Watch()
    train(config(), [NoDropout(), Quantization("qat", begin=0.0), whole])
    train(config(), [NoDropout(), Quantization("qat", begin=0.0), Accumulation(micro_batches=4), parts])
    torch.testing.assert_close(parts.finished(INPUTS), whole.finished(INPUTS), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("kind", INTEGER_KINDS)
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_cut_out_channels_and_integers_save_together(model: str, kind: str) -> None:
    watch = Watch()
    result = train(config(model=model), [Quantization(kind, begin=0.2), Pruning(structure="channels"), watch])
    before = measure(watch.trained, (1, 4, 4))
    figures: Any = result.techniques["quantization"]
    assert figures["bytes_before"] == result.techniques["pruning"]["bytes_after"]
    assert figures["bytes_before"] < 0.6 * before.bytes
    assert figures["bytes_after"] == stored_bytes(watch.finished) < 0.2 * before.bytes
    assert figures["mac_int8"] < 0.6 * before.flops / 2
    with torch.no_grad():
        trained, deployed = watch.trained(INPUTS), watch.finished(INPUTS)
    assert (deployed - trained).abs().max() < 0.05 * trained.abs().max()


def test_single_weights_that_are_gone_stay_gone() -> None:
    watch = Watch()
    train(config(), [Pruning(sparsity=0.8), Quantization("qat"), watch])
    gone = [weight == 0 for name, weight in watch.trained.state_dict().items() if name.endswith("weight")]
    integers = [weight for name, weight in watch.finished.state_dict().items() if name.endswith("weight")]
    assert sum(int(mask.sum()) for mask in gone) >= 0.79 * sum(mask.numel() for mask in gone)
    for mask, weight in zip(gone, integers, strict=True):
        assert weight.dtype == torch.int8
        assert not weight[mask].any()


@pytest.mark.parametrize("kind", INTEGER_KINDS)
def test_a_distilled_student_is_quantized(kind: str) -> None:
    watch = Watch()
    distillation = Distillation(teacher="cnn", teacher_epochs=1, hint_weight=0.1)
    result = train(config(), [distillation, Quantization(kind), watch])
    assert result.techniques["quantization"]["mac_int8"] == measure(watch.trained, (1, 4, 4)).flops // 2
    with torch.no_grad():
        trained, deployed = watch.trained(INPUTS), watch.finished(INPUTS)
    assert (deployed - trained).abs().max() < 0.2 * trained.abs().max()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in watch.finished.modules())


@pytest.mark.parametrize("kind", ["static", "qat"])
def test_trained_in_16_bits_deployed_in_8(kind: str) -> None:
    result = train(config(), [Amp(), Quantization(kind, begin=0.2)])
    plain = train(config(), [Amp()])
    assert result.val_loss == pytest.approx(plain.val_loss, rel=0.1)


def test_processes_agree_on_the_largest_reaches() -> None:
    class Two(World):
        def sum(self, values: Tensor) -> Tensor:
            others = torch.zeros_like(values)
            others[1] = torch.tensor([[5.0, 1.0], [0.0, 2.0]])
            return values + others

    run = SimpleNamespace(world=Two(rank=0, size=2))
    agreed = _largest_of_all(cast("Run", run), torch.tensor([[4.0, 3.0], [1.0, 1.0]]))
    assert agreed.tolist() == [[5.0, 3.0], [1.0, 2.0]]


def test_aware_training_cannot_be_compiled() -> None:
    compiler = Compile(backend="eager")
    with pytest.raises(TechniqueError, match=r"kind=qat cannot be combined with 'compile'.*use kind=static"):
        train(config(), [Quantization("qat"), compiler])


def test_two_precisions_for_one_model_are_refused() -> None:
    with pytest.raises(TechniqueError, match="'quantization' is given twice"):
        train(config(), [Quantization("static"), Quantization("bf16")])
