"""`ballast simulate` when it does not go to the end: an interrupt, a worker's death, arms that fail."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from ballast.simulate import command
from ballast.simulate.comparison.arms import Event, Setup, Task, compared, run_arm
from ballast.simulate.comparison.processes import Done, Failed
from tests.unit.simulate.commanding import files, program, simulate

_PATIENCE_SECONDS = 60.0


def _until(found: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while not found():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


@contextmanager
def _running(folder: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """The command in a session of its own, as a terminal's jobs are."""
    line, environment = program(folder, *files(folder), "--processes", "1", *words)
    process = subprocess.Popen(
        line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


def _any_left(session: int) -> bool:
    try:
        os.killpg(session, 0)
    except ProcessLookupError:
        return False
    return True


def _worker_of(parent: int) -> int | None:
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
            return int(child)
    return None


def test_an_interrupt_keeps_what_is_done_and_leaves_no_process(tmp_path: Path) -> None:
    jobs, table = tmp_path / "out" / "jobs", tmp_path / "out" / "table.txt"
    with _running(tmp_path, "--policy", "fifo-binpack", "--seeds", "500") as process:
        _until(lambda: jobs.is_dir() and len(list(jobs.glob("*.csv"))) >= 2)
        os.killpg(process.pid, signal.SIGINT)  # to all of them, as a terminal does
        out, err = process.communicate(timeout=_PATIENCE_SECONDS)
    assert process.returncode == command.INTERRUPTED
    assert "Traceback" not in err, err
    assert "interrupted; the jobs of arms that are done are in" in err
    assert table.read_text() == out
    assert "The simulation was interrupted: only seeds 0" in out
    _until(lambda: not _any_left(process.pid))


def test_a_worker_that_is_killed_fails_its_arm_only(tmp_path: Path) -> None:
    with _running(tmp_path, "--policy", "fifo-binpack", "--seeds", "2") as process:
        _until(lambda: _worker_of(process.pid))
        worker = _worker_of(process.pid)
        assert worker is not None
        os.kill(worker, signal.SIGKILL)
        out, err = process.communicate(timeout=_PATIENCE_SECONDS)
    assert process.returncode == command.FAILED
    assert "ballast: fifo-binpack, seed 0 failed: its process was ended by SIGKILL" in err
    assert "Traceback" not in err, err
    assert [path.name for path in (tmp_path / "out" / "jobs").iterdir()] == ["fifo-binpack-seed-1.csv"]
    assert "fifo-binpack" in out


def test_a_reason_that_many_arms_share_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def all_fail(policies: Sequence[str], setups: Sequence[Setup], processes: int) -> Iterator[Event]:
        for setup in setups:
            for policy in policies:
                yield Failed(Task(policy, setup), "out of luck", "Traceback: here\n")

    monkeypatch.setattr("ballast.simulate.comparison.arms.run_arms", all_fail)
    words = [*files(tmp_path), "--policy", "fifo-binpack", "--policy", "static-cap", "--seeds", "2"]
    assert simulate(*words) == command.FAILED
    shown = capsys.readouterr()
    assert shown.err.count("Traceback: here") == 1
    assert "ballast: 4 arms (fifo-binpack, seed 0 and others) failed: out of luck\n" in shown.err
    assert shown.out == ""


def test_an_arm_that_failed_is_missing_from_the_table_and_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def one_fails(policies: Sequence[str], setups: Sequence[Setup], processes: int) -> Iterator[Event]:
        task = Task(policies[0], setups[0])
        run = run_arm(task, progress=lambda share: None)
        yield Done(task, run, 1.0)
        yield Failed(Task(policies[1], setups[0]), "out of luck")
        yield compared([run])

    monkeypatch.setattr("ballast.simulate.comparison.arms.run_arms", one_fails)
    words = [*files(tmp_path), "--policy", "fifo-binpack", "--policy", "static-cap", "--seeds", "1"]
    assert simulate(*words) == command.FAILED
    out = capsys.readouterr().out
    assert "NOT HELD: every arm ran the same jobs to completion" in out
    assert "static-cap" not in out
