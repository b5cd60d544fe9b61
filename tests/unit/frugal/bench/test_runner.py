"""A bench goes on where it was, tells what failed, and mixes nothing that cannot be compared."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from frugal.bench import runner, store
from frugal.bench.plan import Case, Plan
from frugal.bench.records import Phase, Trial
from frugal.bench.runner import Outcome, run_plan, schedule
from frugal.bench.store import read_environment, read_trials
from frugal.bench.trial import Interrupted, Procedure
from frugal.errors import ConfigError, DataError, TechniqueError
from frugal.signals import StopSignals
from tests.cluster.paths import CHECKOUT

from ..builders import blobs, config
from .made_up import trial
from .meters import estimating

Answer = Callable[[Case, int], None]


def plan(*seeds: int, cases: tuple[str, ...] = ("base", "variant"), **settings: Any) -> Plan:
    base, *variants = cases
    return Plan(
        name="small",
        seeds=seeds or (0, 1, 2),
        cases=(
            Case(name=base, config=config(**settings)),
            *(Case(name=name, config=config(**settings), baseline=base) for name in variants),
        ),
        target_accuracy=None,
    )


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, int]]:
    """What was run, in its order; made up instead of trained."""
    log: list[tuple[str, int]] = []
    answering(monkeypatch, log, lambda case, seed: None)
    return log


def answering(monkeypatch: pytest.MonkeyPatch, log: list[tuple[str, int]], act: Answer) -> None:
    """Make trials up, after ``act`` had its say."""

    def run_case(case: Case, seed: int, *arguments: Any, **options: Any) -> list[Trial]:
        act(case, seed)
        log.append((case.name, seed))
        return [trial(case.name, baseline=case.baseline, seed=seed, phase=phase) for phase in case.phases]

    monkeypatch.setattr(runner, "run_case", run_case)
    monkeypatch.setattr(runner, "warm_up", lambda case, data: None)
    monkeypatch.setattr("frugal.bench.runner.datasets.load", lambda name, folder: blobs())


def run(folder: Path, planned: Plan | None = None, **options: Any) -> Outcome:
    return run_plan(planned or plan(), folder, estimating(), **options)


def test_baseline_and_variants_take_turns() -> None:
    """Within a seed, and forth and back: whatever drifts with time meets both alike."""
    order = [(case.name, seed) for case, seed in schedule(plan(5, 6, cases=("a", "b", "c")))]
    assert order == [("a", 5), ("b", 5), ("c", 5), ("c", 6), ("b", 6), ("a", 6)]


def test_what_is_there_is_not_run_again(tmp_path: Path, ran: list[tuple[str, int]]) -> None:
    first = run(tmp_path, plan(0))
    ran.clear()
    again = run(tmp_path, plan(0, 1))  # more seeds of the same plan
    assert sorted(ran) == [("base", 1), ("variant", 1)]
    assert list(again.trials) == read_trials(tmp_path)
    assert list(again.trials[:4]) == list(first.trials)
    assert len(again.trials) == 8
    ran.clear()
    assert run(tmp_path, plan(0)).trials == first.trials  # and only those of the seeds that are asked for
    assert ran == []


def test_half_a_case_is_run_again_but_kept_once(tmp_path: Path, ran: list[tuple[str, int]]) -> None:
    whole = run(tmp_path, plan(0))
    lines = (tmp_path / store.TRIALS).read_text().splitlines(keepends=True)
    (tmp_path / store.TRIALS).write_text("".join(lines[:3]))  # base, and one phase of the variant
    ran.clear()
    assert run(tmp_path, plan(0)).trials == whole.trials
    assert ran == [("variant", 0)]


@pytest.mark.parametrize("kept", [1, 40, 0.5, -1])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, ran: list[tuple[str, int]], kept: float) -> None:
    whole = run(tmp_path, plan(0))
    content = (tmp_path / store.TRIALS).read_bytes()
    start = content[:-1].rfind(b"\n") + 1
    length = len(content) - start
    size = int(kept * length) if isinstance(kept, float) else kept % length
    (tmp_path / store.TRIALS).write_bytes(content[: start + size])
    assert read_trials(tmp_path) == list(whole.trials[:3])
    run(tmp_path, plan(0))
    assert read_trials(tmp_path) == list(whole.trials)


def test_a_damaged_line_is_named(tmp_path: Path, ran: list[tuple[str, int]]) -> None:
    run(tmp_path)
    path = tmp_path / store.TRIALS
    path.write_text(path.read_text().replace("{", "", 1))
    with pytest.raises(DataError, match="line 1: not a trial"):
        run(tmp_path)


def test_a_failed_case_is_told_and_the_others_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[tuple[str, int]] = []

    def fail(case: Case, seed: int) -> None:
        if case.name == "variant":
            raise TechniqueError("pruning cannot work here") if seed == 0 else ZeroDivisionError("a defect")

    answering(monkeypatch, log, fail)
    outcome = run(tmp_path, plan(0, 1, cases=("base", "variant", "other")))
    assert sorted(log) == [("base", 0), ("base", 1), ("other", 0), ("other", 1)]
    assert outcome.interrupted is None
    told = [(failure.case, failure.seed, failure.message) for failure in outcome.failures]
    assert told == [
        ("variant", 0, "pruning cannot work here"),
        ("variant", 1, "ZeroDivisionError: a defect"),
    ]
    kept = [json.loads(line) for line in (tmp_path / store.FAILURES).read_text().splitlines()]
    assert [(failure["case"], failure["seed"], failure["message"]) for failure in kept] == told

    answering(monkeypatch, log, lambda case, seed: None)  # mended: tried again, and no failure is left
    log.clear()
    assert run(tmp_path, plan(0, 1, cases=("base", "variant", "other"))).failures == ()
    assert sorted(log) == [("variant", 0), ("variant", 1)]
    assert not (tmp_path / store.FAILURES).exists()


def test_a_folder_in_which_nothing_succeeded_is_free_for_another_plan(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(case: Case, seed: int) -> None:
        raise TechniqueError("a mistyped name")

    answering(monkeypatch, [], fail)
    assert run(tmp_path).trials == ()
    answering(monkeypatch, [], lambda case, seed: None)
    mended = run(tmp_path, plan(epochs=2))
    assert mended.trials
    assert read_environment(tmp_path) == mended.environment


def test_an_interrupt_loses_one_case_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[tuple[str, int]] = []

    def stop(case: Case, seed: int) -> None:
        if (case.name, seed) == ("variant", 1):
            raise Interrupted(signal.SIGINT)

    answering(monkeypatch, log, stop)
    outcome = run(tmp_path, plan(0, 1))
    assert (outcome.interrupted, len(outcome.trials)) == (signal.SIGINT, 4)
    answering(monkeypatch, log, lambda case, seed: None)
    assert run(tmp_path, plan(0, 1)).interrupted is None
    assert log == [("base", 0), ("variant", 0), ("variant", 1), ("base", 1)]


def test_a_stop_between_cases_is_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log: list[tuple[str, int]] = []
    signals = StopSignals()
    answering(monkeypatch, log, lambda case, seed: signals.handle(signal.SIGTERM))
    assert run(tmp_path, signals=signals).interrupted == signal.SIGTERM
    assert log == [("base", 0)]


@pytest.mark.parametrize(
    ("changed", "name"),
    [
        (lambda folder: run(folder, plan(epochs=4)), "plan.cases"),
        (lambda folder: run(folder, plan(cases=("base", "another"))), "plan.cases"),
        (lambda folder: run(folder, replace(plan(), target_accuracy=0.9)), "plan.target_accuracy"),
        (lambda folder: run(folder, procedure=Procedure(batch=8)), "procedure.batch"),
    ],
)
def test_results_of_another_plan_are_not_added_to(
    tmp_path: Path, ran: list[tuple[str, int]], changed: Callable[[Path], object], name: str
) -> None:
    run(tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(DataError, match=rf"cannot be compared with new ones: {name} changed; name another folder"):
        changed(tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_results_of_another_machine_are_not_added_to(tmp_path: Path, ran: list[tuple[str, int]]) -> None:
    run(tmp_path)
    header = json.loads((tmp_path / store.HEADER).read_text())
    header["hardware"]["cpu"] = "another processor"
    (tmp_path / store.HEADER).write_text(json.dumps(header))
    with pytest.raises(DataError, match=r"hardware\.cpu changed"):
        run(tmp_path)


def test_a_new_commit_goes_on_and_both_are_kept(
    tmp_path: Path, ran: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for commit in ("aaa", "bbb", "bbb"):
        monkeypatch.setattr("frugal.bench.environment.checkout", lambda commit=commit: commit)
        run(tmp_path, plan(0))
    environment = read_environment(tmp_path)
    assert environment is not None
    assert environment.commits == ("aaa", "bbb")
    assert "results of several commits: aaa, bbb" in capsys.readouterr().err


def test_trials_without_their_header_are_refused(tmp_path: Path, ran: list[tuple[str, int]]) -> None:
    run(tmp_path)
    (tmp_path / store.HEADER).unlink()
    with pytest.raises(DataError, match="is missing, but there are trials"):
        run(tmp_path)


def test_a_folder_has_one_writer(tmp_path: Path, ran: list[tuple[str, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    refused: list[str] = []

    def meanwhile(case: Case, seed: int) -> None:
        with pytest.raises(DataError) as second:
            run(tmp_path)
        refused.append(str(second.value))

    answering(monkeypatch, ran, meanwhile)
    run(tmp_path, plan(0))
    assert all("another frugal bench is writing there" in message for message in refused)
    assert len(refused) == 2


def test_several_processes_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ConfigError, match="start it without torchrun"):
        run(tmp_path)


_KILLED = """
    import os, signal, sys
    from pathlib import Path
    from frugal.bench.records import Trial
    from frugal.bench.store import Store, read_environment

    folder = Path(sys.argv[1])
    store = Store(folder, read_environment(folder))
    store.add([Trial.from_json(line) for line in sys.argv[2].splitlines()])

    class Torn:
        def __init__(self, file):
            self.file = file

        def write(self, content):
            self.file.write(content[: len(content) // 3])
            self.file.flush()
            os.kill(os.getpid(), signal.SIGKILL)

    store._file = Torn(store._file)
    store.add([Trial.from_json(line) for line in sys.argv[3].splitlines()])
"""


def test_after_a_kill_in_the_middle_of_a_write_the_same_keys_come_out_once(
    tmp_path: Path, ran: list[tuple[str, int]]
) -> None:
    """Seed 0 is whole; of seed 1 the variant is whole, and the baseline is being written when the process is killed."""
    run(tmp_path, plan(0))
    lines = {
        name: "".join(f"{trial(name, baseline=base, seed=1, phase=phase).to_json()}\n" for phase in Phase)
        for name, base in (("variant", "base"), ("base", None))
    }
    program = [sys.executable, "-c", textwrap.dedent(_KILLED), str(tmp_path), lines["variant"], lines["base"]]
    environment = {**os.environ, "PYTHONPATH": f"{CHECKOUT}/workloads"}
    killed = subprocess.run(program, env=environment, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / store.TRIALS).read_bytes().endswith(b"\n")
    before = read_trials(tmp_path)
    assert len(before) == 6

    ran.clear()
    run(tmp_path, plan(0, 1))
    assert ran == [("base", 1)]
    after = read_trials(tmp_path)
    assert after[:6] == before
    assert sorted(kept.key for kept in after) == sorted(
        (case, phase, seed) for case in ("base", "variant") for phase in Phase for seed in (0, 1)
    )
