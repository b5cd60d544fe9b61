"""Stops exactly when patience runs out, gives the best weights back, and leaves the word to the operator if asked."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from frugal import models, registry, trainer
from frugal.data import Examples
from frugal.errors import TechniqueError
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.technique import Evaluation, Stage, Technique
from frugal.techniques.accumulation import Accumulation
from frugal.techniques.amp import Amp
from frugal.techniques.early_stopping import EarlyStopping

from ..builders import Recorder, blobs, config, same, train, weights
from ..toys import Shrink, Smoothing, interrupt_at, never
from .resuming import assert_resumes

STEPS = 7  # of an epoch
Script = Callable[..., None]


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Script:
    """Makes evaluations come out as written, one an epoch."""

    def write(losses: Sequence[float] = (), accuracies: Sequence[float] = ()) -> None:
        def evaluate(run: Run, examples: Examples) -> Evaluation:
            at = run.epoch
            return Evaluation(
                loss=losses[at] if losses else 1.0, accuracy=accuracies[at] if accuracies else 0.5, samples=40
            )

        monkeypatch.setattr(trainer, "evaluate", evaluate)

    return write


class Keep(Technique):
    """Keeps each epoch's weights."""

    name = "keep"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.epochs: list[dict[str, Tensor]] = []

    def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
        self.epochs.append({name: tensor.clone() for name, tensor in run.model.state_dict().items()})


class Final(Technique):
    """Keeps the weights of the finished model."""

    name = "final"
    stage = Stage.CONTROL

    def __init__(self) -> None:
        self.weights: dict[str, Tensor] = {}

    def finish(self, run: Run, model: nn.Module) -> nn.Module:
        self.weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        return model


@pytest.mark.parametrize(
    ("losses", "patience", "epochs"),
    [
        ([5, 4, 4, 4, 3, 2, 1, 1], 2, 4),  # equal is not better
        ([5, 4, 4, 4, 3, 2, 1, 1], 3, 8),  # better at the last moment
        ([5, 6, 4, 6, 3, 6, 7, 8], 2, 7),  # counted anew after each better one
        ([5, 6, 7, 8, 1, 1, 1, 1], 1, 2),
        ([math.nan, 5, math.nan, math.inf, 4, 3, 2, 1], 3, 8),  # no number is no improvement, and no best
        ([math.nan, math.nan, 1, 1, 1, 1, 1, 1], 2, 2),
    ],
)
def test_stops_after_exactly_so_many_evaluations(
    script: Script, losses: list[float], patience: int, epochs: int
) -> None:
    script(losses)
    result = train(config(epochs=8), [EarlyStopping(patience=patience)])
    assert (result.outcome, result.epochs, result.steps) == ("completed", epochs, epochs * STEPS)
    assert (result.stop_reason is not None) == (epochs < 8)
    assert result.techniques["early-stopping"]["epochs_spared"] == 8 - epochs


def test_says_why(script: Script) -> None:
    script([5.0, 4.0, 4.5, 4.25, 1.0])
    result = train(config(epochs=5), [EarlyStopping(patience=2)])
    assert result.stop_reason == "val_loss has not been better than 4.0 for 2 evaluations"
    assert result.techniques["early-stopping"] == {
        "to": "trainer",
        "stopped": True,
        "best": 4.0,
        "best_epoch": 2,
        "epochs_spared": 1,
        "restored": False,
    }


@pytest.mark.parametrize(("min_delta", "epochs"), [(0.0, 6), (0.25, 4), (0.2, 6)])
def test_small_improvements_do_not_count(script: Script, min_delta: float, epochs: int) -> None:
    """Each is 0.25 better than the one before; what counts is the distance to the best that counted."""
    script([2.0, 1.75, 1.75, 1.75, 1.5, 1.25])
    assert train(config(epochs=6), [EarlyStopping(patience=3, min_delta=min_delta)]).epochs == epochs


def test_accuracy_gets_better_upwards(script: Script) -> None:
    script(losses=[5, 4, 3, 2, 1], accuracies=[0.5, 0.75, 0.625, 0.75, 1.0])
    result = train(config(epochs=5), [EarlyStopping(metric="val_accuracy", patience=2)])
    assert (result.epochs, result.techniques["early-stopping"]["best"]) == (4, 0.75)


@pytest.mark.parametrize("patience", [2, 9], ids=["stopped", "at-the-last-epoch"])
def test_restores_the_best_weights_and_judges_them(tmp_path: Path, script: Script, patience: int) -> None:
    script([5, 3, 4, 4, 4])
    keep = Keep()
    result = train(config(tmp_path, epochs=5), [keep, EarlyStopping(patience=patience, restore_best=True)])
    assert result.epochs == min(5, 2 + patience)
    assert same(weights(tmp_path), keep.epochs[1])
    assert not same(weights(tmp_path), keep.epochs[-1])
    loss, accuracy = _judged(weights(tmp_path))
    assert result.val_loss == pytest.approx(loss)
    assert result.val_accuracy == pytest.approx(accuracy)

    again = train(config(tmp_path, epochs=5), [Keep(), EarlyStopping(patience=patience, restore_best=True)])
    assert (again.steps, again.val_loss, again.techniques["early-stopping"]) == (
        result.steps,
        result.val_loss,
        result.techniques["early-stopping"],
    )


def test_ends_with_the_last_weights_unless_asked(tmp_path: Path, script: Script) -> None:
    script([5, 3, 4, 4, 4])
    keep = Keep()
    train(config(tmp_path, epochs=5), [keep, EarlyStopping(patience=2)])
    assert same(weights(tmp_path), keep.epochs[3])


def test_restores_when_another_technique_ends_the_run(script: Script) -> None:
    class Enough(Technique):
        name = "enough"
        stage = Stage.CONTROL

        def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
            if run.epoch == 2:
                run.request_stop("enough")

    script([5, 3, 4, 4, 4])
    keep = Keep()
    result = train(config(epochs=5), [keep, EarlyStopping(restore_best=True), Enough()])
    assert (result.stop_reason, result.epochs) == ("enough", 3)
    figures = result.techniques["early-stopping"]
    assert (figures["stopped"], figures["restored"], figures["epochs_spared"]) == (False, True, 0)
    assert result.val_loss == pytest.approx(_judged(keep.epochs[1])[0])


class Nudge(Technique):
    """Adds 1 to the output's biases after each epoch; may end the run."""

    name = "nudge"
    stage = Stage.CONTROL

    def __init__(self, last: int = -1) -> None:
        self.last = last

    def after_epoch(self, run: Run, evaluation: Evaluation) -> None:
        with torch.no_grad():
            list(run.model.parameters())[-1].add_(1)
        if run.epoch == self.last:
            run.request_stop("enough")


@pytest.mark.parametrize(
    ("last", "more"), [(-1, 1.0), (2, 0.0)], ids=["its-turn-after-the-restoring", "it-ended-the-run"]
)
def test_what_is_kept_is_from_before_the_turn_of_later_techniques(script: Script, last: int, more: float) -> None:
    """Of the best epoch's change nothing comes back; of the last epoch's, what its turn leaves."""
    script([5, 3, 4, 4, 4])
    keep = Keep()  # looks before either had its turn: the weights that were judged
    early, final = EarlyStopping(patience=2, restore_best=True), Final()
    train(config(epochs=5), [keep, early, Nudge(last), final])
    expected = dict(keep.epochs[1])
    *_, bias = expected
    expected[bias] = expected[bias] + more
    assert same(final.weights, expected)


def test_what_is_kept_has_the_changes_of_earlier_techniques(script: Script) -> None:
    script([5, 3, 4, 4, 4])
    keep, final = Keep(), Final()
    train(config(epochs=5), [Nudge(), keep, EarlyStopping(patience=2, restore_best=True), final])
    assert same(final.weights, keep.epochs[1])


def test_an_overfitting_run_ends_with_its_lowest_loss() -> None:
    """No script: 24 examples by heart, while the validation loss rises."""
    reports = Recorder()
    settings: dict[str, Any] = {"epochs": 40, "lr": 0.05, "batch_size": 8}
    early = EarlyStopping(patience=4, restore_best=True)
    result = train(config(**settings), [early], data=blobs(train=24), sinks=[reports])
    losses = [report.val_loss for report in reports.reports if report.val_loss is not None]
    assert result.epochs == len(losses) < 40
    assert losses.index(min(losses)) == len(losses) - 1 - 4
    assert result.val_loss == pytest.approx(min(losses))
    assert losses[-1] > min(losses)


@pytest.mark.parametrize(("step", "restore_best"), [(7, True), (14, False), (14, True), (21, True), (27, False)])
def test_resumes_with_other_techniques(tmp_path: Path, script: Script, step: int, *, restore_best: bool) -> None:
    """Best after epoch 2, stopped after epoch 4: interrupted before, at the best, and in the waiting."""
    script([5, 3, 4, 4, 1, 1])
    result = assert_resumes(
        tmp_path,
        lambda: [EarlyStopping(patience=2, restore_best=restore_best), Smoothing(), Amp(), Accumulation()],
        step,
        epochs=6,
    )
    assert (result.epochs, result.techniques["early-stopping"]["restored"]) == (4, restore_best)


def test_a_signal_in_the_last_moment_does_not_undo_the_stop(tmp_path: Path, script: Script) -> None:
    script([3, 4, 4, 1, 1])
    signals = StopSignals()
    broken = [EarlyStopping(patience=2), interrupt_at(21, signals)]
    train(config(tmp_path, epochs=5), broken, signals=signals)
    result = train(config(tmp_path, epochs=5), [EarlyStopping(patience=2), never()])
    assert (result.outcome, result.epochs) == ("completed", 3)


def test_the_operator_decides_and_hears_every_evaluation(
    script: Script, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    losses = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]
    script(losses)
    monkeypatch.setenv("BALLAST_PROGRESS_URL", "http://127.0.0.1:1/")
    reports = Recorder()
    with caplog.at_level(logging.WARNING):
        result = train(config(epochs=8), [registry.create("early-stopping,to=operator")], sinks=[reports])
    assert (result.epochs, result.stop_reason) == (8, None)
    assert [report.val_loss for report in reports.reports if report.val_loss is not None] == losses
    assert result.techniques["early-stopping"] == {"to": "operator"}
    assert not caplog.records


def test_without_an_exporter_nobody_would_stop_it(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.delenv("BALLAST_PROGRESS_URL", raising=False)
    with caplog.at_level(logging.WARNING):
        train(config(epochs=1), [EarlyStopping(to="operator")])
    assert "BALLAST_PROGRESS_URL is not set" in caplog.text
    assert "nobody will stop this run" in caplog.text


def test_old_weights_must_not_undo_pruning() -> None:
    with pytest.raises(TechniqueError, match=r"restore_best=true would bring back .* before 'shrink'.*leave one out"):
        train(config(), [EarlyStopping(restore_best=True), Shrink()])
    assert train(config(), [EarlyStopping(), Shrink()]).outcome == "completed"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ("metric=loss", "metric='loss': use one of val_loss, val_accuracy"),
        ("patience=0", "patience=0: use a whole number of at least 1"),
        ("min-delta=-1", "min_delta=-1.0: use 0 or a small positive number"),
        ("min-delta=nan", "min_delta=nan: use 0"),
        ("to=me", "to='me': use one of trainer, operator"),
        ("to=operator,patience=3", "patience=3 is not used with to=operator.*spec.earlyStopping"),
        ("to=operator,restore-best=yes", "restore_best=True is not used with to=operator"),
    ],
)
def test_options_that_cannot_be_used(options: str, complaint: str) -> None:
    with pytest.raises(TechniqueError, match=complaint):
        registry.create(f"early-stopping,{options}")


@torch.no_grad()
def _judged(state: dict[str, Tensor]) -> tuple[float, float]:
    """Loss and accuracy of these weights on the validation part."""
    data = blobs()
    model = models.build("mlp", data.shape, data.classes).eval()
    model.load_state_dict(state)
    inputs, labels = data.validation.batch(torch.arange(len(data.validation)), torch.device("cpu"))
    outputs = model(inputs)
    return functional.cross_entropy(outputs, labels).item(), (outputs.argmax(1) == labels).float().mean().item()
