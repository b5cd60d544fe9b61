"""After the warm-up exactly the hardest share is learned from, by either score, alike in every process and attempt."""

from __future__ import annotations

from collections.abc import Callable
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
from frugal.technique import Technique
from frugal.techniques.mixup import MixUp
from frugal.techniques.optimizer import OptimizerChoice
from frugal.techniques.schedule import Schedule
from frugal.techniques.scores import Scores

from ..builders import CLASSES, Recorder, config, train
from ..toys import Accumulation
from .reduction import JUDGED, batch_of, in_two_processes, run_of
from .resuming import assert_resumes

Outputs = Callable[[int, Tensor], Tensor]


def _outputs(run: Run, right: Tensor, sureness: Tensor) -> Tensor:
    """Outputs that are right or wrong, surely or less so."""
    _, labels = run.data.train.batch(torch.arange(len(run.data.train)), run.device)
    named = torch.where(right, labels, (labels + 1) % CLASSES)
    return functional.one_hot(named, CLASSES) * sureness[:, None]


def _epoch(technique: Scores, run: Run, outputs: Tensor) -> Tensor:
    """One epoch of this process in batches of 20; returns its order."""
    world = run.world
    order = technique.epoch_order(run, rng.epoch_order(len(run.data.train), 0, run.epoch))
    for indices in torch.split(order, 20):
        mine = indices[world.rank :: world.size]
        batch = batch_of(run, mine) if len(mine) else batch_of(run, indices[:1], weight=0.0)
        shown = outputs[batch.indices] if len(mine) else -outputs[batch.indices]
        technique.compute_losses(run, batch, shown, torch.zeros(len(batch)))
    technique.after_epoch(run, JUDGED)
    run.epoch += 1
    return order


def _restored(technique: Scores, run: Run) -> Scores:
    """Another of the same options and state, as after an interruption."""
    fresh = Scores(**technique.options())  # type: ignore[arg-type]
    fresh.prepare_data(run, run.data)
    fresh.load_state_dict(run, technique.state_dict())
    fresh.start(run)
    return fresh


def _el2n_choice(world: World) -> tuple[list[int], Tensor]:
    technique = Scores(warmup_epochs=2, share=0.3)
    run = run_of(technique, world, epochs=4)
    technique.start(run)
    generator = torch.Generator().manual_seed(3)
    for _ in range(2):
        order = _epoch(
            technique,
            run,
            _outputs(run, torch.rand(101, generator=generator) < 0.7, 5 * torch.rand(101, generator=generator)),
        )
        assert len(order) == 101
    chosen = technique.epoch_order(run, torch.arange(101))
    return chosen.tolist(), technique.scores()


def test_hardest_by_el2n_stay() -> None:
    chosen, scores = _el2n_choice(World())
    kept = torch.zeros(101, dtype=torch.bool)
    kept[chosen] = True
    assert kept.sum() == 30
    assert scores[kept].min() > scores[~kept].max()


@pytest.mark.parametrize("interrupted", [False, True])
def test_el2n_is_the_mean_length_of_the_error(interrupted: bool) -> None:
    technique = Scores(warmup_epochs=2)
    run = run_of(technique)
    technique.start(run)
    surely, not_at_all = _outputs(run, torch.ones(101).bool(), torch.full((101,), 50.0)), torch.zeros(101, CLASSES)
    wrong = _outputs(run, torch.zeros(101).bool(), torch.full((101,), 50.0))
    third = torch.arange(101)[:, None] % 3
    for _ in range(2):
        _epoch(technique, run, surely.where(third == 0, not_at_all.where(third == 1, wrong)))
        technique = _restored(technique, run) if interrupted else technique
    expected = torch.tensor([0.0, (0.75**2 + 3 * 0.25**2) ** 0.5, 2**0.5])  # right; even over 4 classes; wrong
    torch.testing.assert_close(technique.scores(), expected[third.flatten()])


def test_processes_agree_with_one_alone() -> None:
    """Each sees half of every step, and the last step's one example leaves the second with padding."""
    (first, scores), (second, _) = in_two_processes(_el2n_choice)
    alone, alone_scores = _el2n_choice(World())
    assert first == second == alone
    assert torch.equal(scores, alone_scores)


@pytest.mark.parametrize("interrupted", [False, True])
def test_forgetting_counts_falls_from_right_to_wrong(interrupted: bool) -> None:
    technique = Scores(method="forgetting", warmup_epochs=5, share=0.5)
    run = run_of(technique, epochs=6)
    technique.start(run)
    histories = torch.tensor(
        [[1, 1, 1, 1, 1], [0, 0, 0, 1, 1], [1, 0, 0, 0, 0], [1, 0, 1, 0, 1], [0, 0, 0, 0, 0]], dtype=torch.bool
    )
    kind = torch.arange(101) % 5
    for right in histories.T:
        assert len(_epoch(technique, run, _outputs(run, right[kind], torch.ones(101)))) == 101
        technique = _restored(technique, run) if interrupted else technique
    assert torch.equal(technique.scores(), torch.tensor([0.0, 0.0, 1.0, 2.0, torch.inf])[kind])
    kept = technique.epoch_order(run, torch.arange(101))
    # 40 were never right or forgotten twice; 10 of the 20 that were forgotten once fill the half.
    assert (kind[kept].bincount(minlength=5)).tolist() == [0, 0, 10, 20, 20]


def test_equals_are_chosen_all_over_the_set() -> None:
    technique = Scores(method="forgetting", warmup_epochs=2, share=0.5)
    run = run_of(technique)
    technique.start(run)
    for _ in range(2):
        _epoch(technique, run, _outputs(run, torch.ones(101).bool(), torch.ones(101)))
    kept = technique.epoch_order(run, torch.arange(101))
    assert 10 < (kept < 50).sum() < 40


def test_training_reports_what_it_used() -> None:
    result = train(config(epochs=6), [Scores(warmup_epochs=2, share=0.25)])
    used = 2 * 101 + 4 * 25
    assert (result.samples, result.steps) == (used, 2 * 7 + 4 * 2)
    assert result.techniques["scores"] == {
        "examples": 101,
        "examples_per_epoch": pytest.approx(used / 6),
        "share_seen": pytest.approx(used / 606),
    }


def test_learning_rate_follows_the_epochs_though_they_get_shorter() -> None:
    plain, pruned = Recorder(), Recorder()
    train(config(epochs=6), sinks=[plain])
    train(config(epochs=6), [Scores(warmup_epochs=2, share=0.25)], sinks=[pruned])
    assert [report.lr for report in pruned.reports] == pytest.approx([report.lr for report in plain.reports], abs=1e-9)
    assert pruned.reports[-1].lr == pytest.approx(0, abs=1e-9)


def test_schedule_that_was_asked_for_stays() -> None:
    pruned = Recorder()
    techniques = [Schedule("linear", warmup=0.0), Scores(warmup_epochs=2, share=0.25), OptimizerChoice()]
    train(config(epochs=4), techniques, sinks=[pruned])
    peak = 4 * pruned.reports[0].lr / 3
    assert [report.lr / peak for report in pruned.reports] == pytest.approx([0.75, 0.5, 0.25, 0], abs=1e-9)


@pytest.mark.parametrize("method", ["el2n", "forgetting"])
@pytest.mark.parametrize("step", [3, 14, 17])
def test_resumed_equals_uninterrupted(tmp_path: Path, method: str, step: int) -> None:
    """Interrupted within the warm-up, at its end, and after."""

    def techniques() -> list[Technique]:
        return [Scores(method=method, warmup_epochs=2, share=0.4), Accumulation(parts=3)]

    assert_resumes(tmp_path, techniques, step, epochs=4)


@pytest.mark.parametrize(
    ("option", "complaint"),
    [
        ("method=luck", "scores,method='luck': use one of el2n, forgetting"),
        ("share=0", "scores,share=0.0: use a share above 0"),
        ("share=2", "scores,share=2.0: use a share above 0"),
        ("warmup_epochs=0", "scores,warmup_epochs=0: el2n needs at least 1"),
        ("warmup_epochs=3", "scores,warmup_epochs=3: .*one epoch after them: this run has epochs=3"),
        ("method=forgetting,warmup_epochs=1", "scores,warmup_epochs=1: forgetting needs at least 2"),
    ],
)
def test_options_that_cannot_work(option: str, complaint: str) -> None:
    with pytest.raises(ConfigError, match=complaint):
        train(config(), [create(f"scores,{option}")])


def test_mixtures_have_no_score_of_one_example() -> None:
    with pytest.raises(TechniqueError, match="'scores' cannot be combined with 'mixup'"):
        train(config(epochs=5), [MixUp(), Scores()])
