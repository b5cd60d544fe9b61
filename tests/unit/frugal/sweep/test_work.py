"""The work: the same each time, measured from settling to its end; commands that fail or are stopped."""

from __future__ import annotations

import os
import sys
import threading
import time
from itertools import count
from pathlib import Path

import pytest

from frugal.data import Examples
from frugal.evaluation import evaluate
from frugal.run import Run
from frugal.signals import StopSignals
from frugal.sweep.errors import Interrupted, SweepError
from frugal.sweep.training import VALIDATED, Training
from frugal.sweep.work import CommandWork, StepProbe, TrainingWork, Window
from frugal.technique import Evaluation
from tests.unit.frugal.builders import config


class Clock:
    """Seconds that pass when somebody says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Trainer:
    """Takes a step every ``seconds``, until it is told that it is enough, or has no more of them."""

    def __init__(self, clock: Clock, seconds: float, steps: int = 10**6) -> None:
        self.clock, self.seconds, self.steps = clock, seconds, steps
        self.taken: list[int] = []

    def __call__(self, probe: StepProbe) -> float | None:
        self.clock.now += 100.0  # imports, data, the first kernels
        for number in count(1):
            self.clock.now += self.seconds
            if probe(number) or number == self.steps:
                self.taken.append(number)
                return 0.25
        raise AssertionError


def test_a_slower_training_takes_the_same_steps() -> None:
    """Their number is found at the baseline; then each run settles first and is measured over as many."""
    clock = Clock()
    trainer = Trainer(clock, 0.125)
    work = TrainingWork(trainer, seconds=20.0, settle_seconds=5.0, clock=clock)
    work.prepare()
    measured = []
    for trainer.seconds in (0.125, 0.375):
        window = Window(lambda: 7 * clock.now, clock)
        done = work.run(window)
        measured.append((done.steps, done.loss, *window.measured))
    assert trainer.taken[1] == trainer.taken[2] == 200
    assert measured == [(160, 0.25, 20.0, 140.0), (160, 0.25, 60.0, 420.0)]


def test_a_training_that_ends_too_early_is_refused() -> None:
    clock = Clock()
    work = TrainingWork(Trainer(clock, 0.1, steps=100), seconds=20.0, settle_seconds=5.0, clock=clock)
    with pytest.raises(SweepError, match="ends after 100 steps"):
        work.prepare()


def test_work_that_ended_before_it_was_measured_gives_no_figure() -> None:
    with pytest.raises(SweepError, match="before it was measured"):
        _ = Window(lambda: 0.0).measured


def test_our_trainer_does_the_same_to_the_last_bit_each_time() -> None:
    training = Training(config(data="digits", epochs=1000), ["mixup"], StopSignals())
    seen: list[int] = []

    def probe(number: int) -> bool:
        seen.append(number)
        return number == 30

    losses = {training(probe) for _ in range(2)}
    assert seen == [*range(1, 31)] * 2
    assert len(losses) == 1
    assert losses != {None}


def test_our_trainer_stops_between_two_steps_when_it_is_asked_to() -> None:
    signals = StopSignals(leave=lambda status: None)
    training = Training(config(data="digits", epochs=1000), [], signals)

    def probe(number: int) -> bool:
        if number == 5:
            signals.handle(15)
        assert number <= 5
        return False

    with pytest.raises(Interrupted):
        training(probe)


def command(code: str, signals: StopSignals | None = None) -> CommandWork:
    return CommandWork([sys.executable, "-c", code], dict(os.environ), steps=7, signals=signals)


def test_a_command_is_measured_from_start_to_end() -> None:
    began = time.monotonic()
    window = Window(lambda: time.monotonic() - began)
    assert command("import time; time.sleep(0.3)").run(window).steps == 7
    assert window.measured[0] >= 0.3


def test_a_command_that_fails_says_what_it_said() -> None:
    with pytest.raises(SweepError, match="ended with 3: out of memory"):
        command("print('out of memory'); raise SystemExit(3)").prepare()


def test_a_command_that_is_not_there_says_so() -> None:
    with pytest.raises(SweepError, match="cannot be started"):
        CommandWork(["/nonexistent/program"], {}).prepare()


@pytest.mark.parametrize("at_once", [False, True])
def test_what_a_command_started_ends_with_it(tmp_path: Path, *, at_once: bool) -> None:
    """A shell's child, too: it would go on computing on the GPU."""
    signals = StopSignals(leave=lambda status: None)
    pid = tmp_path / "pid"
    work = CommandWork(["sh", "-c", f"sleep 60 & echo $! > {pid}.part; mv {pid}.part {pid}; wait"], {**os.environ})
    work.signals = signals

    def stop() -> None:
        while not pid.exists():
            time.sleep(0.01)
        if at_once:
            work.kill()
        else:
            signals.handle(15)

    stopper = threading.Thread(target=stop)
    stopper.start()
    with pytest.raises(SweepError):
        work.prepare()
    stopper.join()
    deadline = time.monotonic() + 5
    while _runs(int(pid.read_text())) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not _runs(int(pid.read_text()))


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_command_is_ended_when_the_sweep_is() -> None:
    signals = StopSignals(leave=lambda status: None)
    signals.handle(15)
    began = time.monotonic()
    with pytest.raises(Interrupted):
        command("import time; time.sleep(60)", signals).prepare()
    assert time.monotonic() - began < 10


def test_validation_is_hardly_in_what_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """Epochs end within the window; only a few examples are evaluated there, and once before the first step."""
    evaluated: list[tuple[int, int]] = []

    def spy(run: Run, examples: Examples) -> Evaluation:
        evaluated.append((run.step, len(examples)))
        return evaluate(run, examples)

    monkeypatch.setattr("frugal.trainer.evaluate", spy)
    monkeypatch.setattr("frugal.sweep.training.evaluate", spy)
    Training(config(data="digits", epochs=1000, batch_size=512), [], StopSignals())(lambda number: number == 7)
    assert {step for step, _ in evaluated} == {0, 3, 6, 7}
    assert {count for _, count in evaluated} == {VALIDATED}
