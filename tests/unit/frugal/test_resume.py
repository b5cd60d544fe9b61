"""An interrupted and resumed run ends as an uninterrupted one, bit for bit."""

from __future__ import annotations

import logging
import signal
from pathlib import Path

import pytest

from frugal.signals import StopSignals
from frugal.technique import Technique

from .builders import config, newest, same, train
from .toys import Accumulation, HardExamples, Shrink, Smoothing, StopAt, interrupt_at, never

NOT_COMPARED = ("position",)  # holds seconds


def _techniques() -> list[Technique]:
    return [Smoothing(), Accumulation(parts=3), HardExamples(), Shrink()]


def _end(directory: Path) -> dict[str, object]:
    state = newest(directory)
    assert state["position"].pop("seconds") > 0
    return state


@pytest.mark.parametrize("step", [1, 3, 7, 8, 20, 21], ids=lambda step: f"after-step-{step}")
def test_plain_training(tmp_path: Path, step: int) -> None:
    train(config(tmp_path / "whole"), [never()])

    signals = StopSignals()
    broken = train(config(tmp_path / "broken"), [interrupt_at(step, signals)], signals=signals)
    assert (broken.outcome, broken.steps, broken.exit_status) == ("interrupted", step, 143)
    resumed = train(config(tmp_path / "broken"), [never()])
    assert (resumed.outcome, resumed.resumed_from_step, resumed.exit_status) == ("completed", step, 0)

    assert same(_end(tmp_path / "whole"), _end(tmp_path / "broken"))


@pytest.mark.parametrize("step", [2, 4, 6, 9])
def test_with_techniques_that_remember_and_reshape(tmp_path: Path, step: int) -> None:
    train(config(tmp_path / "whole"), [*_techniques(), never()])

    signals = StopSignals()
    train(config(tmp_path / "broken"), [*_techniques(), interrupt_at(step, signals)], signals=signals)
    train(config(tmp_path / "broken"), [*_techniques(), never()])

    assert same(_end(tmp_path / "whole"), _end(tmp_path / "broken"))


def test_interrupted_at_every_third_step(tmp_path: Path) -> None:
    train(config(tmp_path / "whole"), [never()])
    for step in range(3, 21, 3):
        signals = StopSignals()
        train(config(tmp_path / "broken"), [interrupt_at(step, signals)], signals=signals)
    train(config(tmp_path / "broken"), [never()])
    assert same(_end(tmp_path / "whole"), _end(tmp_path / "broken"))


def test_killed_run_resumes_from_its_periodic_checkpoint(tmp_path: Path) -> None:
    class Killed(Exception):
        pass

    def die(run: object) -> None:
        raise Killed

    train(config(tmp_path / "whole", checkpoint_every=4), [never()])
    killed = StopAt(step=10)
    killed.act = die
    with pytest.raises(Killed):
        train(config(tmp_path / "broken", checkpoint_every=4), [killed])
    resumed = train(config(tmp_path / "broken", checkpoint_every=4), [never()])
    assert resumed.resumed_from_step == 8
    assert same(_end(tmp_path / "whole"), _end(tmp_path / "broken"))


def test_damaged_checkpoint_costs_steps_not_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    train(config(tmp_path / "whole", checkpoint_every=4))
    signals = StopSignals()
    train(config(tmp_path / "broken", checkpoint_every=4), [interrupt_at(10, signals)], signals=signals)
    path = tmp_path / "broken" / "checkpoint-000000010.pt"
    path.write_bytes(path.read_bytes()[:1000])
    with caplog.at_level(logging.WARNING):
        resumed = train(config(tmp_path / "broken", checkpoint_every=4), [never()])
    assert resumed.resumed_from_step == 8
    assert "is damaged" in caplog.text


def test_finished_run_is_not_trained_again(tmp_path: Path) -> None:
    first = train(config(tmp_path))
    again = train(config(tmp_path))
    assert (again.outcome, again.resumed_from_step, again.steps) == ("completed", 21, 21)
    assert again.val_accuracy == first.val_accuracy


def test_starting_over_on_request(tmp_path: Path) -> None:
    train(config(tmp_path))
    assert train(config(tmp_path, resume=False)).resumed_from_step == 0


def test_time_of_all_attempts_adds_up(tmp_path: Path) -> None:
    signals = StopSignals()
    first = train(config(tmp_path), [interrupt_at(20, signals)], signals=signals)
    saved = newest(tmp_path)["position"]["seconds"]
    assert 0 < saved <= first.seconds
    assert train(config(tmp_path), [never()]).seconds > saved


def test_keyboard_interrupt_ends_with_130() -> None:
    signals = StopSignals()
    technique = never()
    technique.step = 2
    technique.act = lambda run: signals.handle(signal.SIGINT)
    assert train(config(), [technique], signals=signals).exit_status == 130
