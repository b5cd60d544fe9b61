"""A drawn training: repeatable, watched without being changed, with data and model as drawn."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest
import torch

from frugal.bench.counters import CounterError
from frugal.bench.meters import MachineMeter
from frugal.curves import task
from frugal.curves.ranges import load
from tests.unit.frugal.curves.builders import changed, small

NOWHERE = Path("/nonexistent")
LOSSES = ("train_loss", "val_loss", "val_accuracy")


def test_the_same_draw_gives_the_same_curve() -> None:
    draw = small().draw(2)
    one, other = (task.train(draw, NOWHERE) for _ in range(2))
    assert all(one.columns[name] == other.columns[name] for name in (*LOSSES, "step", "epoch"))


def test_watching_more_closely_changes_nothing() -> None:
    """Every fourth evaluation of 24 is one of 6, to the last bit, with dropout and mixing at work."""
    draw = changed(small().draw(0), steps=24, train_examples=40, batch_size=40, dropout=0.3, technique="mixup")
    closely = task.train(changed(draw, evaluations=24), NOWHERE)
    loosely = task.train(changed(draw, evaluations=6), NOWHERE)
    assert closely.columns["step"][3::4] == loosely.columns["step"] == [4, 8, 12, 16, 20, 24]
    for name in ("val_loss", "val_accuracy"):
        assert closely.columns[name][3::4] == loosely.columns[name]
    means = torch.tensor(closely.columns["train_loss"]).reshape(6, 4).mean(dim=1).tolist()
    assert means == pytest.approx(loosely.columns["train_loss"], rel=1e-4)


def test_as_many_evaluations_as_drawn_the_last_at_the_end() -> None:
    for index in range(6):
        draw = small().draw(index)
        curve = task.train(draw, NOWHERE)
        assert len(curve) == draw.whole("evaluations")
        assert curve.columns["step"] == sorted(set(curve.columns["step"]))
        assert curve.columns["step"][-1] >= draw.whole("steps")


def test_costs_rise_and_leave_evaluations_out() -> None:
    """Evaluating 360 examples after each step of 8 costs several times the training; what is told is the same cost."""
    draw = changed(small().draw(0), model="cnn", width=64, batch_size=8, steps=60, validation_examples=360)
    loosely, closely = (task.train(changed(draw, evaluations=count), NOWHERE) for count in (2, 24))
    for name in ("seconds", "cpu_seconds", "joules"):
        column = closely.columns[name]
        assert all(earlier < later for earlier, later in pairwise(column))
    assert closely.columns["cpu_seconds"][-1] < 2 * loosely.columns["cpu_seconds"][-1]


def test_joules_without_a_counter_are_an_estimate_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "open_meter", lambda device, model: MachineMeter([], model))
    curve = task.train(small().draw(0), NOWHERE)
    assert not curve.measured
    assert curve.joules_by == task.ONE_THREAD.name
    costs = zip(curve.columns["seconds"], curve.columns["cpu_seconds"], strict=True)
    assert curve.columns["joules"] == pytest.approx([task.ONE_THREAD.joules(*cost) for cost in costs])


def test_joules_of_a_counter_are_measured_and_say_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """The counter goes up by 3 J between two readings: 5 evaluations are 5 stretches, whatever evaluating takes."""
    monkeypatch.setattr(task, "open_meter", lambda device, model: MachineMeter([ThreeJoules()], model))
    curve = task.train(changed(small().draw(0), evaluations=5), NOWHERE)
    assert curve.measured
    assert curve.joules_by == "three"
    assert curve.columns["joules"] == [3.0, 6.0, 9.0, 12.0, 15.0]


def test_a_counter_that_fails_is_not_filled_up_with_estimates(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(task, "open_meter", lambda device, model: MachineMeter([Failing()], model))
    with pytest.raises(CounterError, match="gone"):
        task.train(changed(small().draw(0), evaluations=5), NOWHERE)


class ThreeJoules:
    """A counter that goes up with each reading."""

    source = "three"

    def __init__(self) -> None:
        self._count = 0.0

    def joules(self) -> float:
        self._count += 3.0
        return self._count


class Failing(ThreeJoules):
    """One that tells nothing from its fifth reading on."""

    def joules(self) -> float:
        if self._count >= 12:
            raise CounterError("gone")
        return super().joules()


def test_label_noise_spoils_training_only() -> None:
    """With many wrong labels an mlp that can learn them by heart still is right on clean validation examples less."""
    draw = changed(
        small().draw(0), steps=300, train_examples=200, width=64, lr=0.01, optimizer="adamw", schedule="cosine",
        technique="none", dropout=0.0, weight_decay=0.0, validation_examples=360, batch_size=32,
    )  # fmt: skip
    clean = task.train(changed(draw, label_noise=0.0), NOWHERE).columns
    noisy = task.train(changed(draw, label_noise=0.4), NOWHERE).columns
    assert noisy["train_loss"][-1] > clean["train_loss"][-1]
    assert noisy["val_accuracy"][-1] < clean["val_accuracy"][-1] - 0.1
    assert clean["val_accuracy"][-1] > 0.85


@pytest.mark.parametrize("technique", ["none", "mixup", "augmentation", "pruning", "gelu", "top-k"])
@pytest.mark.parametrize("model", ["mlp", "cnn"])
def test_every_technique_of_the_committed_ranges_trains_every_model(technique: str, model: str) -> None:
    assert technique in load().parameters["technique"].weights
    draw = changed(small().draw(1), technique=technique, model=model, depth=3, steps=15, evaluations=3)
    assert len(task.train(draw, NOWHERE)) == 3


@pytest.mark.parametrize("optimizer", ["adamw", "momentum", "sgd", "nadam"])
@pytest.mark.parametrize("schedule", ["cosine", "constant", "step", "one-cycle"])
def test_every_optimizer_and_schedule_of_the_committed_ranges_trains(optimizer: str, schedule: str) -> None:
    parameters = load().parameters
    assert optimizer in parameters["optimizer"].weights
    assert schedule in parameters["schedule"].weights
    draw = changed(small().draw(1), optimizer=optimizer, schedule=schedule, steps=10, evaluations=2)
    assert len(task.train(draw, NOWHERE)) == 2
