"""The command line: results on standard output, progress on standard error, exit statuses that tell the truth."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from frugal import cli, train_command
from frugal.exporter_sink import ExporterSink
from frugal.progress import Progress

TOYS = "tests.unit.frugal.toys"
QUICK = ["train", "--data", "digits", "--epochs", "2", "--threads", "1", "--device", "cpu"]


@pytest.fixture(autouse=True)
def _outside_any_container(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(train_command.CHECKPOINT_DIR_VARIABLE, raising=False)
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("BALLAST_PROGRESS_URL", raising=False)
    monkeypatch.setattr(train_command, "TERMINATION_LOG", tmp_path / "termination-log")


def test_result_is_one_line_of_json_on_standard_output(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*QUICK, "--json"]) == 0
    output = capsys.readouterr()
    result = json.loads(output.out)
    assert output.out.count("\n") == 1
    assert (result["outcome"], result["epochs"], result["data"]) == ("completed", 2, "digits")
    events = [json.loads(line) for line in output.err.splitlines()]
    assert [event["event"] for event in events] == ["starting", "training", "progress", "progress"]
    assert events[-1]["val_accuracy"] == result["val_accuracy"]


def test_sigterm_saves_and_exits_143_and_the_same_command_resumes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(train_command.CHECKPOINT_DIR_VARIABLE, str(tmp_path))
    command = [*QUICK, "--with", f"{TOYS}:StopAt,step=30"]
    before = signal.getsignal(signal.SIGTERM)
    assert cli.main(command) == 128 + signal.SIGTERM
    interrupted = json.loads(capsys.readouterr().out)
    assert (interrupted["outcome"], interrupted["steps"], interrupted["signal"]) == ("interrupted", 30, 15)

    assert cli.main(command) == 0
    resumed = json.loads(capsys.readouterr().out)
    assert (resumed["resumed_from_step"], resumed["steps"]) == (30, 46)
    assert signal.getsignal(signal.SIGTERM) is before


def test_pod_status_shows_the_same_result(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "termination-log").touch()
    assert cli.main(QUICK) == 0
    assert (tmp_path / "termination-log").read_text() == capsys.readouterr().out.strip()


def test_pod_status_shows_what_went_wrong(tmp_path: Path) -> None:
    (tmp_path / "termination-log").touch()
    assert cli.main([*QUICK, "--lr", "0"]) == 2
    assert (tmp_path / "termination-log").read_text() == "--lr 0.0: use a positive number, 0.001 is a good start"


def test_a_pods_exporter_is_told(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Progress] = []
    monkeypatch.setattr(ExporterSink, "report", lambda self, progress: told.append(progress))
    monkeypatch.setenv("BALLAST_PROGRESS_URL", "http://127.0.0.1:9447/v1/progress")
    assert cli.main(QUICK) == 0
    result = json.loads(capsys.readouterr().out)
    assert told[-1].step == result["steps"]
    assert told[-1].val_loss == pytest.approx(result["val_loss"], abs=1e-6)


def test_techniques_combine(capsys: pytest.CaptureFixture[str]) -> None:
    command = [*QUICK, "--with", f"{TOYS}:Smoothing,epsilon=0.2", "--with", f"{TOYS}:Accumulation,parts=2"]
    assert cli.main(command) == 0
    assert json.loads(capsys.readouterr().out)["techniques"] == {"smoothing": {}, "accumulation": {"passes": 92}}


@pytest.mark.parametrize(
    ("arguments", "status", "complaint"),
    [
        (["--epochs", "0"], 2, "--epochs 0: use a whole number of at least 1"),
        (["--lr", "-1"], 2, "--lr -1.0: use a positive number"),
        (["--data", "imagenet"], 2, "--data imagenet: use one of digits, fashion-mnist"),
        (["--model", "vgg"], 2, "--model vgg: use one of mlp, cnn"),
        (["--device", "tpu"], 2, "--device tpu: use one of auto, cpu, cuda"),
        (["--with", "magic"], 1, "--with magic: no technique of that name; available: "),
        (["--data", "fashion-mnist", "--data-dir", "/nowhere"], 1, "install the Debian package dataset-fashion-mnist"),
        (["--checkpoint-dir", "/dev/null/x"], 1, "mount a volume there"),
    ],
)
def test_mistakes_end_in_one_line_that_helps(
    arguments: list[str], status: int, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([*QUICK, *arguments]) == status
    output = capsys.readouterr()
    assert output.out == ""
    assert complaint in output.err.splitlines()[-1]


def test_help_names_the_data_sets_and_exit_statuses(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        cli.main(["train", "--help"])
    assert left.value.code == 0
    text = capsys.readouterr().out
    for word in ("digits", "fashion-mnist", "143", "BALLAST_CHECKPOINT_DIR", "torchrun"):
        assert word in text
