"""Mixtures hold what their targets say: MixUp by brightness, CutMix by area; accuracy still asks for the true label."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch

from frugal.data import DataSplits, TensorExamples
from frugal.errors import ConfigError
from frugal.registry import create
from frugal.run import Run
from frugal.technique import Batch, Technique
from frugal.techniques.coreset import Coreset
from frugal.techniques.mixup import MixUp

from ..builders import config, train
from ..toys import Accumulation, Smoothing
from .reduction import batch_of, run_of
from .resuming import assert_resumes

COUNT = 400
SIZE = 12


def _constant_images() -> DataSplits:
    """Example i is an image of the value i and a class of its own: a mixture shows what it was made of."""
    numbers = torch.arange(COUNT)
    images = numbers.float()[:, None, None, None].expand(COUNT, 2, SIZE, SIZE).clone()
    part = TensorExamples(images, numbers)
    return DataSplits(train=part, validation=part, test=None, shape=(2, SIZE, SIZE), classes=COUNT)


def _mixed(technique: MixUp, seed: int = 0) -> tuple[Run, Batch]:
    run = run_of(technique, data=_constant_images())
    torch.manual_seed(seed)
    return run, technique.transform_batch(run, batch_of(run, torch.arange(COUNT)))


TECHNIQUES = [
    MixUp(alpha=1.0),
    MixUp(alpha=0.0, cutmix_alpha=1.0),
    MixUp(alpha=0.4, cutmix_alpha=1.0, probability=0.6),
]


@pytest.mark.parametrize("technique", TECHNIQUES, ids=["mixup", "cutmix", "both"])
def test_targets_are_probabilities_and_labels_stay(technique: MixUp) -> None:
    _, batch = _mixed(technique)
    assert batch.targets.shape == (COUNT, COUNT)
    assert batch.targets.min() >= 0
    torch.testing.assert_close(batch.targets.sum(dim=1), torch.ones(COUNT))
    assert torch.equal(batch.labels, torch.arange(COUNT))
    assert torch.equal(batch.weights, torch.ones(COUNT))


@pytest.mark.parametrize("technique", TECHNIQUES, ids=["mixup", "cutmix", "both"])
def test_targets_say_what_is_in_the_image(technique: MixUp) -> None:
    """An image's mean is the mean of the examples' values, each by its target."""
    _, batch = _mixed(technique)
    torch.testing.assert_close(batch.inputs.mean(dim=(1, 2, 3)), batch.targets @ torch.arange(COUNT).float())


@pytest.mark.parametrize("technique", TECHNIQUES, ids=["mixup", "cutmix", "both"])
def test_partners_come_from_the_processs_own_share(technique: MixUp) -> None:
    """Of a batch of 8 the second of two processes has the odd examples, and mixes no others into them."""
    run = run_of(technique, data=_constant_images())
    batch = technique.transform_batch(run, batch_of(run, torch.arange(8)[1::2]))
    assert batch.targets[:, [1, 3, 5, 7]].sum().item() == pytest.approx(4)


def test_cutmix_target_is_the_area_that_is_left() -> None:
    _, batch = _mixed(MixUp(alpha=0.0, cutmix_alpha=1.0))
    own = batch.inputs == torch.arange(COUNT)[:, None, None, None]
    cut = 0
    for row, (image, target) in enumerate(zip(own, batch.targets, strict=True)):
        assert torch.equal(image[0], image[1])  # all channels alike
        outside = (~image[0]).nonzero()
        if len(outside) == 0:
            continue
        cut += 1
        height, width = (outside.max(dim=0).values - outside.min(dim=0).values + 1).tolist()
        assert height * width == len(outside)  # a box
        assert target[row].item() == pytest.approx(1 - height * width / SIZE**2, abs=1e-6)
        (partner,) = set(batch.inputs[row][0][~image[0]].tolist())
        assert target[int(partner)].item() == pytest.approx(height * width / SIZE**2, abs=1e-6)
    assert cut > COUNT / 2


def test_cutmix_boxes_have_the_drawn_area_where_they_fit() -> None:
    """Shares near 0.5 cut half of the image in its middle, and less at its rim, alike on all sides."""
    run = run_of(MixUp(alpha=0.0, cutmix_alpha=1.0))
    shares = MixUp(alpha=0.0, cutmix_alpha=200.0)._pixel_shares(2000, 100, 100, run.device)
    area = 1 - shares.mean(dim=(1, 2, 3))
    assert area.max().item() == pytest.approx(0.5, abs=0.08)  # Beta(200, 200) is nearly always 0.5
    assert area.min().item() == pytest.approx(0.125, abs=0.03)  # three quarters of a box in a corner are lost
    cut_at = (shares == 0).float().mean(dim=(0, 1))
    for mirrored in (cut_at.flip(0), cut_at.flip(1), cut_at.T):  # rows and columns are drawn apart
        torch.testing.assert_close(cut_at, mirrored, atol=0.06, rtol=0)


def test_mixup_shares_follow_beta() -> None:
    technique = MixUp(alpha=0.3)
    shares = technique._pixel_shares(20_000, 1, 1, torch.device("cpu")).flatten()
    assert shares.mean().item() == pytest.approx(0.5, abs=0.02)
    assert shares.var().item() == pytest.approx(1 / (4 * (2 * 0.3 + 1)), abs=0.01)


def test_given_share_is_mixed_and_the_rest_untouched() -> None:
    _, batch = _mixed(MixUp(alpha=1.0, probability=0.25))
    untouched = (batch.inputs == torch.arange(COUNT)[:, None, None, None]).all(dim=(1, 2, 3))
    assert untouched.float().mean().item() == pytest.approx(0.75, abs=0.07)
    assert (batch.targets.diagonal()[untouched] == 1).all()


def test_both_kinds_appear_when_both_are_on() -> None:
    _, batch = _mixed(MixUp(alpha=1.0, cutmix_alpha=1.0))
    values = [len(set(image.flatten().tolist())) for image in batch.inputs]
    assert 0.25 < sum(count == 2 for count in values) / COUNT < 0.6  # a box; uniform images are blended


def test_targets_that_are_probabilities_already_are_mixed_too() -> None:
    technique = MixUp(alpha=1.0)
    run = run_of(technique, data=_constant_images())
    batch = batch_of(run, torch.arange(COUNT))
    soft = torch.full((COUNT, COUNT), 1 / COUNT)
    mixed = technique.transform_batch(run, dataclasses.replace(batch, targets=soft))
    torch.testing.assert_close(mixed.targets, soft)


def test_model_still_learns_and_is_told_apart() -> None:
    result = train(config(epochs=10), [MixUp(cutmix_alpha=1.0, probability=0.5), Smoothing()])
    assert result.val_accuracy is not None
    assert result.val_accuracy > 0.8
    share = result.techniques["mixup"]["share_mixed"]
    assert share == pytest.approx(0.5, abs=0.06)


def test_works_on_a_coreset_with_micro_batches(tmp_path: Path) -> None:
    def techniques() -> list[Technique]:
        return [Coreset(share=0.5), MixUp(cutmix_alpha=0.5), Accumulation(parts=3)]

    assert_resumes(tmp_path, techniques, step=5)


@pytest.mark.parametrize("step", [3, 7])
def test_resumed_equals_uninterrupted(tmp_path: Path, step: int) -> None:
    assert_resumes(tmp_path, lambda: [MixUp(cutmix_alpha=1.0, probability=0.7)], step)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("alpha=-1", "mixup,alpha=-1.0: use a positive number"),
        ("cutmix_alpha=inf", "mixup,cutmix_alpha=inf: use a positive number"),
        ("alpha=nan", "mixup,alpha=nan: use a positive number"),
        ("alpha=0", "mixup,alpha=0.0: with cutmix_alpha=0.0 too nothing is mixed"),
        ("probability=0", "mixup,probability=0.0: use a share above 0"),
        ("probability=1.5", "mixup,probability=1.5: use a share above 0"),
    ],
)
def test_options_that_cannot_work(option: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        train(config(), [create(f"mixup,{option}")])
