"""The command line: record, go on, show; errors in one line."""

from __future__ import annotations

import argparse
import signal
from pathlib import Path

import pytest

from frugal.curves import command, recorder, recording
from tests.unit.frugal.curves.builders import SMALL, curve, small


def frugal(*words: str | int | Path) -> int:
    parser = argparse.ArgumentParser(prog="frugal")
    command.add_parser(parser.add_subparsers(dest="command", required=True))
    return command.run(parser.parse_args(["curves", *map(str, words)]))


def test_record_then_show(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    ranges, out = tmp_path / "ranges.toml", tmp_path / "deep" / "curves.gz"
    ranges.write_text(SMALL)
    assert frugal("record", "--out", out, "--count", 2, "--jobs", 1, "--ranges", ranges, "--data-dir", tmp_path) == 0
    assert "2/2 trainings are kept" in capsys.readouterr().err
    assert frugal("show", out) == 0
    assert "2 trainings" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (("record", "--out", "x", "--count", "0"), 2, "--count 0: use a whole number"),
        (("record", "--out", "x", "--ranges", "/nonexistent"), 2, "--ranges /nonexistent: cannot be read"),
        (("show", "/nonexistent"), 1, "recording /nonexistent cannot be read"),
    ],
)
def test_an_error_is_one_line_with_its_remedy(
    words: tuple[str, ...], status: int, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frugal(*words) == status
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_trainings_that_counters_measure_do_not_run_side_by_side(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each would count the other's joules."""
    monkeypatch.setattr(recorder, "measures", lambda device: True)
    assert frugal("record", "--out", tmp_path / "x", "--jobs", 2) == 2
    assert "--jobs 2: counters count all" in capsys.readouterr().err
    assert not (tmp_path / "x").exists()


def test_an_empty_recording_can_be_shown(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "curves.gz"
    recording.begin(path, small(), {})
    assert frugal("show", path) == 0
    recording.append(path, curve(0))
    assert frugal("show", path) == 0
    assert "1 trainings" in capsys.readouterr().out


def test_a_recording_that_was_cut_off_ends_as_by_its_signal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def cut_off(*arguments: object, **options: object) -> None:
        signal.raise_signal(signal.SIGTERM)
        raise recorder.CutOff("stopped, and so were the others")

    monkeypatch.setattr(recorder, "record", cut_off)
    (tmp_path / "ranges.toml").write_text(SMALL)
    words = ("--count", 2, "--jobs", 2, "--ranges", tmp_path / "ranges.toml", "--data-dir", tmp_path)
    assert frugal("record", "--out", tmp_path / "x", *words) == 143
    assert capsys.readouterr().err == "frugal curves: stopped, and so were the others\n"
