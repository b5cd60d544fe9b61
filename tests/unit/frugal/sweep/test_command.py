"""The command line before anything is changed: what it tells, and what it refuses."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from frugal.sweep import command
from frugal.sweep.errors import SweepError
from frugal.sweep.result import SweepResult
from tests.nvmlsim.boards import A40, A100
from tests.nvmlsim.faults import Fault
from tests.nvmlsim.simulator import Load
from tests.nvmlsim.testing import nvml
from tests.unit.frugal.sweep.builders import Bench, bench
from tests.unit.nvmlsim.builders import only_root


@pytest.fixture
def one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")  # the command sets it: put back afterwards
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST", raising=False)
    with bench(tmp_path, A40) as made:
        yield made


def frugal(*words: str | int | Path) -> int:
    parser = argparse.ArgumentParser(prog="frugal")
    command.add_parser(parser.add_subparsers(dest="command", required=True))
    return command.run(parser.parse_args(["sweep", *map(str, words)]))


def test_a_dry_run_lists_the_points_and_changes_nothing(one: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert frugal("--dry-run", "--points", "power:3,990MHz") == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == ["300 W", "300 W @ 990 MHz", "200 W", "100 W"]
    assert "SIMULATED" in said.err
    assert "found at 300 W" in said.err
    assert one.simulator.calls() == ()


@pytest.mark.parametrize("words", [(), ("--", "true")])
def test_without_permission_it_says_who_may_before_anything_runs(
    one: Bench, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    one.simulator.inject(None, Fault.no_permission())
    assert frugal(*words) == 1
    assert "run frugal sweep as root" in capsys.readouterr().err


def test_in_a_pod_it_points_to_the_training_job(
    one: Bench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert frugal("--", "true") == 1
    assert "spec.energy.operatingPoint" in capsys.readouterr().err
    assert one.simulator.calls() == ()


def test_a_gpu_that_somebody_uses_is_left_alone(one: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    one.simulator.set_load(one.uuid, [Load("somebody", pids=(99,))])
    assert frugal("--", "true") == 1
    assert "(99)" in capsys.readouterr().err
    assert one.simulator.calls() == ()


def test_a_part_of_a_divided_gpu_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with nvml(tmp_path, [A100], mig={0: (3, 2)}) as simulator:
        assert frugal("--", "true") == 1
        assert simulator.calls() == ()
    assert "divided by MIG" in capsys.readouterr().err


@only_root
def test_the_way_back_is_told_before_anything_is_set(one: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert frugal("--points", "200W", "--", "false") == 1
    said = capsys.readouterr().err
    assert f"nvidia-smi -i {one.uuid} -pl 300" in said
    assert "false ended with 1" in said
    assert {call.arguments for call in one.simulator.calls()} == {(300_000,)}


@only_root
def test_the_way_back_has_the_clocks_if_they_will_be_locked(one: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert frugal("--points", "990MHz", "--", "false") == 1
    assert f"nvidia-smi -i {one.uuid} -pl 300 && nvidia-smi -i {one.uuid} -rgc\n" in capsys.readouterr().err


@only_root
@pytest.mark.parametrize(("before", "handled"), [(signal.SIG_DFL, True), (signal.SIG_IGN, False)])
def test_nohup_is_respected(before: signal.Handlers, *, handled: bool) -> None:
    kept = signal.signal(signal.SIGHUP, before)
    try:
        with command._Signals().handled():
            assert (signal.getsignal(signal.SIGHUP) is not before) == handled
        assert signal.getsignal(signal.SIGHUP) is before
    finally:
        signal.signal(signal.SIGHUP, kept)


@only_root
def test_what_was_measured_outlives_an_error(
    one: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After each measurement the file is a whole result, of the points that can be compared by then."""
    path = tmp_path / "x.json"
    work, seen = one.work(), list[SweepResult]()

    def disturb() -> None:
        if path.exists():
            seen.append(SweepResult.from_json(path.read_text()))
            if len(seen) == 4:
                raise SweepError("the driver is gone")

    work.disturb = disturb
    monkeypatch.setattr(command, "_work", lambda *arguments: (work, "a test"))
    assert frugal("--points", "power:3", "--rounds", 2, "--json", path) == 1
    assert [len(result.measurements) for result in seen] == [1, 2, 3, 4]
    assert not any(result.complete for result in seen)
    assert len(seen[-1].results()) == 3
    assert {one.point for one in SweepResult.from_json(path.read_text()).results()} == set(seen[-1].points)
    assert f"4 measurements are kept in {path}\n" in capsys.readouterr().err
    assert [one.name for one in tmp_path.glob("*x.json*")] == ["x.json"]


@only_root
def test_a_sweep_that_came_to_its_end_is_kept_whole(
    one: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x.json"
    monkeypatch.setattr(command, "_work", lambda *arguments: (one.work(), "a test"))
    assert frugal("--points", "power:3", "--rounds", 2, "--json", path) == 0
    result = SweepResult.from_json(path.read_text())
    assert (result.complete, len(result.points), len(result.measurements)) == (True, 3, 6)


def test_a_second_signal_puts_back_ends_the_work_and_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    did: list[object] = []
    monkeypatch.setattr("os._exit", did.append)
    signals = command._Signals()
    signals.settings = SimpleNamespace(put_back=lambda: did.append("put back"))  # type: ignore[assignment]
    signals.end_work = lambda: did.append("ended")
    signals._leave(143)
    assert did == ["put back", "ended", 143]


@only_root
def test_what_cannot_become_a_profile_is_refused_before_anything_is_measured(
    one: Bench, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--profile", tmp_path / "x", "--profile-key", "key", "--", "true")
    assert frugal("--points", "power:80", *words) == 2
    assert "an EnergyProfile holds 64 at most" in capsys.readouterr().err
    assert one.simulator.calls() == ()


@only_root
def test_a_training_needs_a_gpu_that_torch_finds(one: Bench, capsys: pytest.CaptureFixture[str]) -> None:
    assert frugal("--points", "200W") == 1
    assert "torch finds no GPU" in capsys.readouterr().err
    assert one.simulator.gpu(one.uuid).power_limit_watts == 300


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--rounds", "0"), "--rounds 0: use a whole number"),
        (("--seconds", "nan"), "--seconds nan: use a number of at least 1"),
        (("--json", "/nonexistent/x.json"), "--json /nonexistent/x.json: its folder"),
        (("--profile-key", "a b", "--profile", "x"), "--profile-key a b: use up to 63"),
        (("--profile", "x", "--", "true"), "--profile-key None: a command needs one"),
        (("--points", "301W"), "--points 301W: 301W: use 100 to 300 W"),
    ],
)
def test_a_wrong_argument_is_told_in_one_line(
    one: Bench, words: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert frugal(*words) == 2
    assert message in capsys.readouterr().err
    assert one.simulator.calls() == ()
