"""InfoBatch sees fewer examples, without changing the expected gradient, and meets every example at the end."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from frugal import rng
from frugal.distributed import World
from frugal.errors import ConfigError, TechniqueError
from frugal.registry import create
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Technique
from frugal.techniques.coreset import Coreset
from frugal.techniques.infobatch import InfoBatch
from frugal.techniques.mixup import MixUp

from ..builders import CLASSES, Recorder, config, newest, train
from ..toys import Accumulation, interrupt_at, never
from .reduction import JUDGED, batch_of, in_two_processes, run_of
from .resuming import assert_resumes

EVERY = torch.arange(101)


def _gradients(run: Run) -> tuple[Tensor, Tensor]:
    """Losses ``[n]`` and gradients ``[n, d]`` of each example at one point of a linear model."""
    weight = torch.randn(16, CLASSES, generator=torch.Generator().manual_seed(5))
    inputs, labels = run.data.train.batch(EVERY, run.device)
    outputs = inputs.flatten(1) @ weight
    errors = outputs.softmax(dim=1) - functional.one_hot(labels, CLASSES)
    losses = functional.cross_entropy(outputs, labels, reduction="none")
    return losses, (inputs.flatten(1)[:, :, None] * errors[:, None, :]).flatten(1)


def _learned(technique: InfoBatch, run: Run, losses: Tensor) -> None:
    """The first epoch: all examples, these losses."""
    technique.start(run)
    order = technique.epoch_order(run, rng.epoch_order(101, run.config.seed, 0))
    for indices in torch.split(order, 20):
        mine = indices[run.world.rank :: run.world.size]
        batch = batch_of(run, mine) if len(mine) else batch_of(run, indices[:1], weight=0.0)
        shown = losses[batch.indices] if len(mine) else torch.full((1,), 1000.0)
        technique.compute_losses(run, batch, torch.zeros(len(batch), CLASSES), shown)
    technique.after_epoch(run, JUDGED)
    run.epoch = 1


@pytest.mark.parametrize("probability", [0.3, 0.5, 0.8])
def test_expected_gradient_is_the_full_one(probability: float) -> None:
    """Over many epochs' draws, within four standard errors in each of 64 coordinates, and not without the weights."""
    epochs = 1500
    technique = InfoBatch(probability=probability)
    run = run_of(technique, epochs=2 * epochs)
    losses, gradients = _gradients(run)
    _learned(technique, run, losses)
    weighted, bare = [], []
    for run.epoch in range(1, epochs + 1):
        order = technique.epoch_order(run, EVERY)
        batch = technique.transform_batch(run, batch_of(run, order))
        weighted.append(batch.weights @ gradients[order])
        bare.append(gradients[order].sum(dim=0))
    full = gradients.sum(dim=0)

    def off(sums: list[Tensor]) -> Tensor:
        sample = torch.stack(sums)
        errors: Tensor = (sample.mean(dim=0) - full) / (sample.std(dim=0) / epochs**0.5)
        return errors.abs()

    assert off(weighted).max() < 4
    assert off(bare).mean() > 10


@pytest.mark.parametrize("probability", [0.3, 0.5, 0.8])
def test_expected_share_of_the_easy_examples_is_left_out(probability: float) -> None:
    epochs = 300
    technique = InfoBatch(probability=probability)
    run = run_of(technique, epochs=2 * epochs)
    losses, _ = _gradients(run)
    _learned(technique, run, losses)
    easy = losses < losses.mean()
    times = torch.zeros(101)
    for run.epoch in range(1, epochs + 1):
        times[technique.epoch_order(run, EVERY)] += 1
    assert (times[~easy] == epochs).all()
    assert times[easy].mean().item() / epochs == pytest.approx(1 - probability, abs=0.02)
    assert (times[easy] / epochs - (1 - probability)).abs().max() < 0.13  # by chance, not always the same ones


def test_weights_of_others_and_padding_stay_in_force() -> None:
    technique = InfoBatch(probability=0.75)
    run = run_of(technique, epochs=9)
    _learned(technique, run, EVERY.float())
    technique.epoch_order(run, EVERY)
    for given in (0.0, 3.0):
        weights = technique.transform_batch(run, batch_of(run, EVERY, weight=given)).weights
        assert weights.tolist() == [4 * given] * 50 + [given] * 51  # the mean is 50


def test_first_and_last_epochs_are_full() -> None:
    sizes = []

    class Watched(InfoBatch):
        def epoch_order(self, run: Run, order: Tensor) -> Tensor:
            chosen = super().epoch_order(run, order)
            sizes.append(len(chosen))
            weights = self.transform_batch(run, batch_of(run, chosen)).weights
            assert (len(chosen) == 101) == bool((weights == 1).all())
            return chosen

    result = train(config(epochs=8), [Watched(annealing=0.25)])
    assert [size == 101 for size in sizes] == [True] + 5 * [False] + 2 * [True]
    assert result.samples == sum(sizes)
    assert result.techniques["infobatch"] == {
        "examples": 101,
        "examples_per_epoch": pytest.approx(sum(sizes) / 8),
        "share_seen": pytest.approx(sum(sizes) / 808),
    }
    assert all(size < 0.9 * 101 for size in sizes[1:6])


def test_losses_of_examples_left_out_stay_as_they_were() -> None:
    technique = InfoBatch()
    run = run_of(technique, epochs=9)
    _learned(technique, run, EVERY.float())
    order = technique.epoch_order(run, EVERY)
    batch = batch_of(run, order)
    technique.compute_losses(run, batch, torch.zeros(len(order), CLASSES), torch.full((len(order),), 500.0))
    technique.after_epoch(run, JUDGED)
    expected = EVERY.float()
    expected[order] = 500
    assert torch.equal(technique.memory()["_losses"], expected)


def test_equal_losses_leave_nothing_out() -> None:
    technique = InfoBatch()
    run = run_of(technique, epochs=9)
    _learned(technique, run, torch.full((101,), 0.1))
    assert len(technique.epoch_order(run, EVERY)) == 101


def test_processes_choose_alike() -> None:
    """Each measures half, and padding, whose loss of 1000 would make all easy, measures nothing."""

    def choose(world: World) -> list[int]:
        technique = InfoBatch()
        run = run_of(technique, world, epochs=9)
        losses, _ = _gradients(run)
        _learned(technique, run, losses)
        chosen: list[int] = technique.epoch_order(run, EVERY).tolist()
        return chosen

    first, second = in_two_processes(choose)
    assert first == second == choose(World())


def test_restored_processes_do_not_count_a_value_twice() -> None:
    def saved_again(world: World) -> Tensor:
        technique = InfoBatch()
        run = run_of(technique, world, epochs=9)
        technique.start(run)
        mine = EVERY[world.rank :: world.size][:30]
        technique.compute_losses(run, batch_of(run, mine), torch.zeros(30, CLASSES), mine.float())
        state = technique.state_dict()
        fresh = InfoBatch()
        fresh.prepare_data(run, run.data)
        fresh.load_state_dict(run, state)
        values: Tensor = fresh.state_dict()["values"]
        return values

    for values in in_two_processes(saved_again):
        assert torch.equal(values[:60], EVERY[:60].float())
        assert values[60:].isinf().all()


def test_learning_rate_follows_the_epochs_though_they_are_shorter() -> None:
    plain, pruned = Recorder(), Recorder()
    train(config(epochs=8, batch_size=4), sinks=[plain])
    train(config(epochs=8, batch_size=4), [InfoBatch()], sinks=[pruned])
    assert [report.lr for report in pruned.reports] == pytest.approx([report.lr for report in plain.reports], abs=1e-9)


@pytest.mark.parametrize("step", [3, 7, 10, 16])
def test_resumed_equals_uninterrupted(tmp_path: Path, step: int) -> None:
    """Interrupted in the first epoch, at its end, and in pruned ones; with micro-batches."""
    assert_resumes(tmp_path, _techniques, step, epochs=5)


def _techniques() -> list[Technique]:
    return [InfoBatch(), Accumulation(parts=3)]


def test_another_seed_leaves_out_others(tmp_path: Path) -> None:
    orders = []
    for seed in (0, 1):
        technique = InfoBatch()
        run = run_of(technique, epochs=9, seed=seed)
        _learned(technique, run, EVERY.float())
        orders.append(technique.epoch_order(run, EVERY).tolist())
    assert orders[0] != orders[1]


def test_weights_last_through_an_interrupted_epoch(tmp_path: Path) -> None:
    signals = StopSignals()
    train(config(tmp_path, epochs=5), [InfoBatch(probability=0.75), interrupt_at(9, signals)], signals=signals)
    state = newest(tmp_path)["learned"]["infobatch"]["memory"]
    assert state["_weights"].unique().tolist() == [1, 4]
    train(config(tmp_path, epochs=5), [InfoBatch(probability=0.75), never()])


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("probability=0", "infobatch,probability=0.0: use a number between 0 and 1"),
        ("probability=1", "infobatch,probability=1.0: use a number between 0 and 1"),
        ("annealing=1", "infobatch,annealing=1.0: use 0 or a share below 1"),
        ("annealing=0.5", "infobatch,annealing=0.5: with epochs=3 .* leave none to prune: use more epochs"),
    ],
)
def test_options_that_cannot_work(option: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        train(config(), [create(f"infobatch,{option}")])


@pytest.mark.parametrize(
    ("other", "complaint"),
    [(MixUp(), "'infobatch' cannot be combined with 'mixup'"), (Coreset(), "both decide the examples")],
)
def test_combinations_that_cannot_work(other: Technique, complaint: str) -> None:
    with pytest.raises(TechniqueError, match=complaint):
        train(config(), [InfoBatch(), other])
