"""``frugal bench``: the table on standard output, everything else on standard error, statuses that tell the truth."""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from frugal import cli
from frugal.bench import command
from frugal.bench.comparison import compare
from frugal.bench.records import Phase
from frugal.bench.store import read_trials
from tests.cluster.paths import CHECKOUT

QUICK = ["--device", "cpu", "--threads", "1", "--inference-seconds", "0.01", "--inference-repeats", "1"]
TINY = ["--data", "digits", "--epochs", "1", "--seeds", "1", *QUICK]
STOP = "tests.unit.frugal.toys:StopAt,step=3"


def bench(*arguments: str) -> int:
    return cli.main(["bench", *arguments])


def test_cases_are_run_shown_and_shown_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = [*TINY, "--case", "pruning,sparsity=0.8 + optimizer,kind=sgd", "--case", "accumulation,micro_batches=2"]
    assert bench(*wanted, "--out", str(tmp_path)) == 0
    first = capsys.readouterr()
    assert first.err.startswith("energy: ")
    assert "3/3" in first.err
    assert bench(*wanted, "--out", str(tmp_path), "--json") == 0
    again = capsys.readouterr()
    assert "3 of 3 are in" in again.err
    told = json.loads(again.out)
    found = compare(read_trials(tmp_path))
    assert [(entry["case"], entry["phase"]) for entry in told] == [(entry.case, entry.phase) for entry in found]
    assert {entry["case"] for entry in told if entry["baseline"] == "baseline"} == {wanted[-3], wanted[-1]}
    for entry in found:
        assert entry.case in first.out
        assert entry.data == "digits"
    assert found[0].phase is Phase.TRAINING
    assert json.loads((tmp_path / "results.json").read_text()) == told
    assert wanted[-1] in (tmp_path / "results.md").read_text()
    drawn = {f"{kind}-{phase}.{form}" for kind in ("savings", "pareto") for phase in Phase for form in ("png", "svg")}
    assert drawn <= {path.name for path in tmp_path.iterdir()}


def test_a_failure_is_told_at_the_end_and_in_the_status(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bench(*TINY, "--case", "magic", "--out", str(tmp_path)) == 1
    output = capsys.readouterr()
    assert "baseline" in output.out
    assert output.err.splitlines()[-1].startswith("failed: magic, seed 0: --with magic: no technique of that name")


def test_ctrl_c_ends_cleanly_and_says_how_to_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.getsignal(signal.SIGTERM)
    assert bench(*TINY, "--case", STOP, "--out", str(tmp_path)) == 128 + signal.SIGTERM  # the toy sends that one
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted; the same command goes on where this stopped"
    assert {trial.case for trial in read_trials(tmp_path)} == {"baseline"}
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        ([], 2, "--case: give at least one, or a plan"),
        (["--case", "amp"], 2, "--out: name a folder"),
        (["--case", "amp", "--seeds", "0"], 2, "seeds=[]: use whole numbers"),
        (["plan.toml", "--epochs", "3"], 2, "plan=plan.toml: --epochs does not go with it"),
        (["plan.toml", "--case", "amp"], 2, "--case does not go with it"),
        (["plan.toml"], 2, "plan=plan.toml: cannot be read"),
        (["--case", "amp", "--out", "/dev/null/x"], 1, "name a folder that can be written to"),
        (["--case", "amp", "--out", "x", "--watts-per-core", "0"], 2, "error: --watts-per-core 0.0: use a positive"),
        (["--case", "amp", "--out", "x", "--inference-batch", "0"], 2, "error: --inference-batch 0: use a whole"),
    ],
)
def test_mistakes_end_in_one_line_that_helps(
    arguments: list[str],
    status: int,
    complaint: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert bench(*arguments) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert complaint in output.err.splitlines()[-1]
    assert list(tmp_path.iterdir()) == []


def test_all_that_is_no_setting_of_a_plan_is_told_as_an_option() -> None:
    parser = argparse.ArgumentParser()
    command.add_measuring_options(parser)
    assert sorted(vars(parser.parse_args([]))) == sorted(command._MEASURING)


def test_a_dry_run_checks_and_runs_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert bench(*TINY, "--case", "pruning", "--case", "pruning,sparsity=3", "--out", str(out), "--dry-run") == 1
    output = capsys.readouterr()
    assert output.out.splitlines() == ["baseline, seed 0", "pruning, seed 0", "pruning,sparsity=3, seed 0"]
    assert "pruning,sparsity=3: pruning,sparsity=3.0: use a share" in output.err
    assert output.err.splitlines()[-1] == "3 of 3 left to run, 1 of 3 cases would fail"
    assert not out.exists()


def test_the_plan_in_the_help_is_a_plan(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    example = command._EPILOG.partition("as in [defaults]):\n")[2].partition("\nestimates:")[0]
    plan = tmp_path / "plan.toml"
    plan.write_text(example)
    assert bench(str(plan), "--seeds", "2", "--list") == 0
    assert capsys.readouterr().out.splitlines() == [
        "first look: seeds 0, 1",
        "  plain: plain training; a baseline; digits, mlp, 10 epochs",
        "  pruned: pruning,sparsity=0.8; against plain, inference only; digits, mlp, 10 epochs",
    ]


def test_the_command_line_answers_without_torch() -> None:
    program = "import sys; from frugal.cli import build_parser; build_parser()[0].format_help(); print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}/workloads"}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert not {"torch", "numpy", "scipy", "sklearn", "optuna", "matplotlib"} & set(done.stdout.split())


def test_techniques_are_listed_with_their_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["techniques"]) == 0
    listed = capsys.readouterr().out
    assert "\npruning  (weights)\n    Removes weights by magnitude, gradually.\n" in listed
    assert "\naccumulation  (execution)\n" in f"\n{listed}"
    assert cli.main(["techniques", "pruning"]) == 0
    (one,) = capsys.readouterr().out.split("\n\n")
    assert "    sparsity=0.5\n" in one
    assert cli.main(["techniques", "magic"]) == 1
    assert "no technique of that name" in capsys.readouterr().err
