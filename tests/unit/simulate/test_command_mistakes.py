"""`ballast simulate` tells a user's mistakes before it begins, with what to do about them."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest

from ballast.simulate import command
from tests.unit.simulate.commanding import CLUSTER, TRACE, files, simulate

_HEADER = "name,kind,submitted_at,gpus,reference_seconds\n"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--cluster", "c.yaml"], "--trace: name a file; --example-trace prints one"),
        (["--trace", "t.csv"], "--cluster: name a file; --example-cluster prints one"),
        (["--trace", "t", "--cluster", "c", "--policy", "magic"], "--policy magic: must be one of fifo-spread, "),
        (["--trace", "t", "--cluster", "c", "--policy", "fifo-spread", "--policy", "fifo-spread"], "stands twice"),
        (["--trace", "t", "--cluster", "c", "--policy", "carbon-gate"], "--policy carbon-gate: .*: give --carbon"),
        (["--experiment", "philly-november-2017", "--trace", "t"], "--trace: an experiment's file says"),
        (["--trace", "t.csv", "--cluster", "no-such.yaml"], "no-such.yaml: .*--example-cluster prints one"),
    ],
)
def test_what_options_lack_is_told(words: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert simulate(*words) == command.WRONG_ARGUMENTS
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("ballast: ")
    assert re.search(told, line)


@pytest.mark.parametrize(
    ("trace", "cluster", "told"),
    [
        (_HEADER, CLUSTER, "trace.csv: holds no job: add a line for each"),
        (_HEADER + "a,chess,0,1,60\n", CLUSTER, "no curve of kind 'chess' on GPU model"),
        (_HEADER + "a,ncf-1024,0,4096,60\n", CLUSTER, "job a: gpus is 4096: no GPU model of the cluster has so many"),
        (_HEADER + "a,ncf-1024,0,x,60\n", CLUSTER, "line 2, gpus:"),
        ("\x00\xff", CLUSTER, "trace.csv: "),
        (TRACE, "v100: 4\n", "must be a list of node groups, and holds dict"),
        (TRACE, "- {name: a, count: 1, gpuModel: ACME-9, gpus: 4, basePower: 1W}\n", "no figure is known for ACME-9"),
        (TRACE, "- {name: a, count: 1, gpuModel: A100, gpus: 4, basePower: 1W}\n", "with --curves FILE"),
    ],
)
def test_what_is_wrong_with_files_is_told_before_any_arm_begins(
    trace: str, cluster: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert simulate(*files(tmp_path, trace=trace, cluster=cluster)) == command.WRONG_ARGUMENTS
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_cannot_be_written_to_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = files(tmp_path)
    (tmp_path / "out").write_text("a file")
    assert simulate(*words) == command.WRONG_ARGUMENTS
    assert f"--out {tmp_path / 'out'}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--seeds", "0"],
        ["--seeds", "1001"],
        ["--every", "x"],
        ["--load", "0"],
        ["--trace-began", "soon"],
        ["--switch-off-after", "-1"],
        ["--processes", "0"],
    ],
)
def test_options_outside_their_range_are_refused(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        simulate(*words)
    assert ended.value.code == command.WRONG_ARGUMENTS
    assert f"{words[0]}: {words[1]!r} is not" in capsys.readouterr().err


def test_a_missing_extra_is_named_before_anything_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "matplotlib" else find(name))
    assert simulate(*files(tmp_path)) == command.WRONG_ARGUMENTS
    assert "simulate needs matplotlib: pip install 'ballast[simulate]'" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
