"""`ballast simulate --experiment`: it runs, tells where results are, goes on, and lets no option override the file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Generator
from pathlib import Path

import pytest

from ballast.simulate import command
from ballast.simulate.comparison import arms
from ballast.simulate.comparison.arms import Compared, Event, Task
from ballast.simulate.comparison.processes import Failed
from ballast.simulate.experiments import experiment
from tests.unit.simulate.made_up import arm
from tests.unit.simulate.tiny_experiment import Tiny

SMALL = {"loads": [0.5, 0.9], "seeds": [0, 1], "tables": [{"name": "nodes stay on"}]}


def _run(*words: str) -> int:
    parser = argparse.ArgumentParser(prog="ballast")
    command.add_parser(parser.add_subparsers())
    options = parser.parse_args(["simulate", *words])
    status: int = options.run(options)
    return status


def _words(tiny: Tiny) -> list[str]:
    return ["--experiment", str(tiny.path), "--data", str(tiny.data), "--out", str(tiny.out.parent)]


@pytest.fixture(autouse=True)
def _same_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody may write code while tests run; `test_kept` tells what then happens."""
    monkeypatch.setattr(experiment, "identity_of", lambda *told: {"code": "the same"})


def test_it_runs_and_the_same_command_goes_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = Tiny(tmp_path, **SMALL)
    assert _run(*_words(tiny), "--loads", "0.9", "--seeds", "1", "--processes", "2") == 0
    first = capsys.readouterr()
    assert "nodes stay on, 90 % load" in first.out
    assert "50 % load" not in first.out
    assert "2/2 nodes stay on, 90 % load: " in first.err
    assert ": done in" in first.err
    assert "own parametric fit" in first.err
    assert (tiny.out / "table.txt").read_text() == first.out
    assert _run(*_words(tiny), "--loads", "0.9", "--seeds", "1", "--json") == 0
    second = capsys.readouterr()
    (section,) = json.loads(second.out)["sections"]
    assert section["title"] == "nodes stay on, 90 % load"
    assert ": done in" not in second.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--trace", "t.csv"], "--trace: an experiment's file says what is simulated"),
        (["--policy", "fifo-spread"], "--policy: an experiment's file says"),
        (["--load", "0.8"], "--load: an experiment's file says"),
        (["--every", "3"], "--every: an experiment's file says"),
        (["--format", "philly"], "--format: an experiment's file says"),
        (["--switch-off-after", "60"], "--switch-off-after: an experiment's file says"),
        (["--loads", "0.7"], "loads: tiny has 0.5, 0.9, and not 0.7"),
        (["--seeds", "9"], "seeds: tiny has 2"),
    ],
)
def test_what_the_file_says_is_not_overridden(
    tmp_path: Path, words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _run(*_words(Tiny(tmp_path, **SMALL)), *words) == command.WRONG_ARGUMENTS
    assert told in capsys.readouterr().err


def test_data_are_asked_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tiny = Tiny(tmp_path)
    assert _run("--experiment", str(tiny.path)) == command.WRONG_ARGUMENTS
    assert "--data: name the folder with the experiment's data, philly/ and zeus/" in capsys.readouterr().err
    assert _run("--experiment", "magic", "--data", str(tiny.data)) == command.WRONG_ARGUMENTS
    assert "one of ours (philly-november-2017)" in capsys.readouterr().err


def test_loads_are_shares(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _run("--loads", "some")
    assert "'some' is not shares with commas between them, as 0.6,0.8" in capsys.readouterr().err


def test_an_interrupt_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Tiny(tmp_path, **SMALL)

    def interrupted(policies: object, setups: object, processes: int) -> Generator[Event, None, None]:
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(arms, "run_arms", interrupted)
    assert _run(*_words(tiny)) == command.INTERRUPTED
    assert f"what is done is kept in {tiny.out}: the same command goes on" in capsys.readouterr().err


def test_a_failed_arm_is_told_and_fails_the_command(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tiny = Tiny(tmp_path, **SMALL)
    found = Compared(0, (arm("fifo-spread"), arm("per-job-limit")), ())
    tiny.keep(tiny.plan.experiment.cases[0], found)

    def failing(policies: list[str], setups: list[arms.Setup], processes: int) -> Generator[Event, None, None]:
        yield Failed(Task(policies[0], setups[0]), "out of luck")

    monkeypatch.setattr(arms, "run_arms", failing)
    capsys.readouterr()
    assert _run(*_words(tiny)) == command.FAILED
    told = capsys.readouterr()
    assert "failed: out of luck" in told.err
    assert "Not all seeds are done" in told.out
