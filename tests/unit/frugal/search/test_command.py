"""``frugal search``: from arguments to a winner, interrupted and gone on with."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from frugal.bench.trial import run_case
from frugal.search import command, objective
from frugal.subcommand import WRONG_ARGUMENTS
from frugal.trainer import Trainer

QUICK = (
    *("--data", "digits", "--model", "mlp", "--device", "cpu", "--threads", "1", "--lr", "0.01", "--epochs", "2"),
    *("--share", "0.3", "--final-epochs", "2", "--final-seeds", "2", "--finalists", "1", "--inference-seconds", "0.01"),
)
ARCHITECTURE = ("architecture", "--kinds", "mlp", "--layers", "2", "--energy", "45nm", "--max-drop", "5", *QUICK)


def _run(*words: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.add_parser(parser.add_subparsers(dest="command"))
    return command.run(parser.parse_args(["search", *map(str, words)]))


def _report(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "report.json").read_text())
    return found


@pytest.mark.slow
def test_architecture_search_ends_in_a_cheaper_network_and_its_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _run(*ARCHITECTURE, "--trials", "4", "--out", tmp_path) == 0
    output = capsys.readouterr()
    found = _report(tmp_path)
    assert found["ended"] == "completed"
    assert found["tried"] == 4
    assert found["baseline"]["joules_by"].startswith("estimated: published picojoules: 45nm")
    best = found["best"]
    assert best["saving"]["mean"] > 0
    assert best["saving"]["n"] == 2
    assert not best["measured"]
    assert output.out.rstrip().endswith(best["command"])
    assert "test examples are left alone" in output.err
    assert (tmp_path / "front.png").exists()

    # All is there: the same command trains nothing and shows it again.
    monkeypatch.setattr(Trainer, "train", lambda trainer: pytest.fail("trained"))
    assert _run(*ARCHITECTURE, "--trials", "4", "--out", tmp_path, "--json") == 0
    assert json.loads(capsys.readouterr().out)["best"]["command"] == best["command"]


@pytest.mark.slow
def test_interrupted_search_goes_on_where_it_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (*ARCHITECTURE, "--finalists", "0", "--trials", "5", "--out")
    assert _run(*words, tmp_path / "whole") == 0
    calls: list[str] = []

    def interrupted(case, *arguments, **options):  # type: ignore[no-untyped-def]
        calls.append(case.name)
        if len(calls) == 3:  # the baseline and a design are done
            os.kill(os.getpid(), signal.SIGINT)
        return run_case(case, *arguments, **options)

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        patched.setattr(objective, "run_case", interrupted)
        assert _run(*words, tmp_path / "parts") == 128 + signal.SIGINT
    assert len(calls) == 3
    assert signal.getsignal(signal.SIGINT) is before
    assert "the same command goes on where this stopped" in capsys.readouterr().err
    assert _report(tmp_path / "parts")["tried"] == 1

    assert _run(*words, tmp_path / "parts") == 0
    whole, parts = _report(tmp_path / "whole"), _report(tmp_path / "parts")
    for found in (whole, parts):
        assert found["tried"] == 5
        for one in found["front"]:
            del one["number"]  # the trial that was thrown away has one too
    assert parts["front"] == whole["front"]
    assert parts["baseline"] == whole["baseline"]
    assert ": 1 designs; going on" in capsys.readouterr().err


@pytest.mark.slow
def test_stack_search_tries_techniques_and_estimates_by_time(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    without = [word for name in ("distillation", "quantization", "architecture") for word in ("--without", name)]
    assert _run("stack", *QUICK, *without, "--finalists", "0", "--trials", "3", "--out", tmp_path) == 0
    found = _report(tmp_path)
    assert found["tried"] == 3
    assert found["baseline"]["joules_by"].startswith("estimated: CPU time")
    tried = [*found["front"], *found["infeasible"]]
    techniques = {spec.split(",")[0] for one in tried for spec in one["design"]}
    assert techniques <= {"activation", "pruning", "channels-last"}
    assert all(one["design"] != ["channels-last"] for one in found["front"])  # the mlp has no convolutions

    # Its joules are this machine's: on another one it does not go on.
    monkeypatch.setattr("frugal.bench.environment.cpu_name", lambda: "another")
    capsys.readouterr()
    assert _run("stack", *QUICK, *without, "--finalists", "0", "--trials", "3", "--out", tmp_path) == WRONG_ARGUMENTS
    assert "is 'another'): name a new folder" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("architecture", "--kinds", "rnn"), "--kinds rnn: use cnn or mlp"),
        (("architecture", "--trials", "0"), "--trials 0: use a whole number of at least 1"),
        (("architecture", "--inference-batch", "0"), "--inference-batch 0: use a whole number of at least 1"),
        (("architecture", "--minutes", "0"), "--minutes 0.0: use a positive number"),
        (("architecture", "--energy", "abacus"), "--energy abacus: use one of 45nm"),
        (("architecture", "--energy", "loihi"), "--energy loihi: it has no figure for mac-fp32"),
        (("architecture", "--share", "2"), "--share 2.0: use a share of the training examples"),
        (("stack", "--phase", "training", "--energy", "45nm"), "--energy 45nm: operations are counted for answers"),
        (("stack", "--max-drop", "-1"), "--max-drop -1.0: use percentage points"),
    ],
)
def test_wrong_arguments_name_option_value_and_remedy(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str
) -> None:
    assert _run(*words, "--data", "digits", "--device", "cpu", "--out", tmp_path) == WRONG_ARGUMENTS
    assert f"frugal search: error: {message}" in capsys.readouterr().err


def test_help_needs_neither_torch_nor_optuna() -> None:
    code = "import sys; import frugal.search.command; sys.exit(bool({'torch', 'optuna', 'numpy'} & set(sys.modules)))"
    environment = {**os.environ, "PYTHONPATH": ":".join(sys.path)}
    assert subprocess.run([sys.executable, "-c", code], env=environment, check=False).returncode == 0
