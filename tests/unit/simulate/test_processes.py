"""Tasks in processes of their own: results, failures, deaths, and an end that leaves none behind."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable
from multiprocessing.context import SpawnProcess

import pytest

from ballast.errors import UserError
from ballast.simulate.comparison.processes import Doing, Done, Failed, run_each


def work(task: str, /, progress: Callable[[float], None]) -> int:
    """What a worker does: what its task says."""
    progress(0.5)
    if task == "user":
        raise UserError("cluster: too small: add nodes")
    if task == "defect":
        raise KeyError(task)
    if task == "die":
        os.kill(os.getpid(), signal.SIGKILL)
    if task == "sleep":
        time.sleep(600)
    while task == "tell for ever":
        progress(0.5)
        time.sleep(0.01)
    if task == "interrupted":
        os.kill(os.getpid(), signal.SIGINT)
    return os.getpid()


def test_each_task_has_a_process_of_its_own() -> None:
    done = [event for event in run_each(["a", "b", "c"], work, processes=2) if isinstance(event, Done)]
    assert sorted(event.task for event in done) == ["a", "b", "c"]
    assert len({os.getpid(), *(event.result for event in done)}) == 4


def test_a_failure_says_why_and_leaves_the_others_alone() -> None:
    events = {
        event.task: event for event in run_each(["user", "defect", "die", "fine"], work) if not isinstance(event, Doing)
    }
    assert events["user"] == Failed("user", "cluster: too small: add nodes")
    defect, died = events["defect"], events["die"]
    assert isinstance(defect, Failed)
    assert defect.message == "KeyError: 'defect'"
    assert "Traceback" in defect.details
    assert isinstance(died, Failed)
    assert "was ended by SIGKILL" in died.message
    assert isinstance(events["fine"], Done)


def test_a_worker_does_not_hear_an_interrupt_itself() -> None:
    (event,) = [event for event in run_each(["interrupted"], work) if not isinstance(event, Doing)]
    assert isinstance(event, Done)


def test_an_interrupt_while_a_worker_starts_waits_until_it_can_be_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    now = threading.Event()

    def interrupt() -> None:  # as a library's thread hears it, whatever this thread's mask says
        now.wait()
        os.kill(os.getpid(), signal.SIGINT)

    other = threading.Thread(target=interrupt)
    other.start()
    start, started = SpawnProcess.start, []

    def slowly(process: SpawnProcess) -> None:
        now.set()
        other.join()
        time.sleep(0.05)
        start(process)
        started.append(process)

    monkeypatch.setattr(SpawnProcess, "start", slowly)
    with pytest.raises(KeyboardInterrupt):
        list(run_each(["sleep"], work))
    assert len(started) == 1
    assert multiprocessing.active_children() == []


def test_whoever_stops_listening_ends_the_processes() -> None:
    events = run_each(["sleep", "fine"], work, processes=2)
    while not isinstance(next(events), Done):
        pass
    events.close()
    assert multiprocessing.active_children() == []
