"""A trainer's process: who reports, over forks and to the end; against the exporter's real server."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from ballast import progress
from ballast.api.exporter import PROGRESS_PATH, PROGRESS_URL_VARIABLE
from ballast.api.finalreading import Training
from ballast.exporter.progress import Progress
from ballast.exporter.progress_server import ProgressServer

ROOT = Path(__file__).parents[3]


@pytest.fixture
def exporter() -> Iterator[Progress]:
    progress = Progress("val_loss")
    with ProgressServer(progress, port=0) as server:
        progress.url = f"http://127.0.0.1:{server.port}{PROGRESS_PATH}"  # type: ignore[attr-defined]
        yield progress


def run(exporter: Progress, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a trainer to its end, with a proxy in its environment that does not exist."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        env={
            "PYTHONPATH": str(ROOT / "operator"),
            "PATH": os.environ["PATH"],
            "http_proxy": "http://127.0.0.1:1",
            PROGRESS_URL_VARIABLE: exporter.url,  # type: ignore[attr-defined]
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done


def told(exporter: Progress) -> Training:
    training = exporter.training()
    assert training is not None
    return training


def test_the_variable_is_the_one_that_pods_have() -> None:
    assert progress.URL_VARIABLE == PROGRESS_URL_VARIABLE


def test_the_last_report_arrives_before_the_process_ends(exporter: Progress) -> None:
    script = """if True:
        from ballast import progress
        for step in range(1, 101):
            progress.report(step=step, total_steps=100, samples=step * 8, val_loss=1 / step)
    """
    assert run(exporter, script).stderr == ""
    training = told(exporter)
    assert (training.step, training.percent, training.samples, training.evaluations) == (100, 100, 800, 100)
    assert exporter.cpu_seconds is not None


def test_the_last_report_arrives_when_the_training_fails(exporter: Progress) -> None:
    script = """if True:
        from ballast import progress
        progress.report(step=5)
        progress.report(step=6)
        raise SystemExit(0)
    """
    run(exporter, script)
    assert told(exporter).step == 6


def test_only_the_standard_library_is_loaded(exporter: Progress) -> None:
    script = """if True:
        import sys
        before = set(sys.modules)
        from ballast import progress
        loaded = {name.split(".")[0] for name in set(sys.modules) - before} - set(sys.stdlib_module_names)
        assert loaded == {"ballast"}, loaded
        assert "ballast.errors" not in sys.modules
    """
    run(exporter, script)


def test_nobody_listens_and_the_training_ends_all_the_same(exporter: Progress) -> None:
    script = """if True:
        from ballast import progress
        progress.report(step=5)
    """
    done = run(exporter, script, **{PROGRESS_URL_VARIABLE: "http://127.0.0.1:1/v1/progress"})
    assert "progress cannot be reported at the moment" in done.stderr


@pytest.mark.parametrize("url", ["https://127.0.0.1:9447/v1/progress", "9447", "http://:9447/", "http://h:port/"])
def test_an_address_that_is_none_is_said_once(url: str, exporter: Progress) -> None:
    script = """if True:
        from ballast import progress
        for step in range(3):
            progress.report(step=step)
    """
    assert run(exporter, script, **{PROGRESS_URL_VARIABLE: url}).stderr.count("progress is not reported") == 1


def test_outside_a_pod_nothing_is_started(monkeypatch: pytest.MonkeyPatch) -> None:
    progress.report(step=1)
    monkeypatch.setenv(PROGRESS_URL_VARIABLE, "")
    progress.report(step=1)
    assert progress._sender is None
    assert progress.flush()


@pytest.mark.parametrize(
    ("rank", "local_rank", "step", "tells_cpu"),
    [("0", "0", 7, True), ("2", "0", None, True), ("1", "1", None, False)],
)
def test_the_first_process_of_a_gang_reports(
    rank: str, local_rank: str, step: int | None, tells_cpu: bool, exporter: Progress
) -> None:
    script = "from ballast import progress; progress.report(step=7, val_loss=1)"
    run(exporter, script, RANK=rank, LOCAL_RANK=local_rank)
    training = exporter.training()
    assert (training.step if training else None) == step
    assert (training.evaluations if training else 0) == (step is not None)
    assert (exporter.cpu_seconds is not None) == tells_cpu


def test_a_fork_of_a_process_that_reports(exporter: Progress) -> None:
    """A data loader's worker that ends says nothing; a training in a forked process reports to its end."""
    script = """if True:
        import multiprocessing, os, warnings
        from ballast import progress

        warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.12: of forks beside threads

        def train():
            for step in range(11, 21):
                progress.report(step=step, val_loss=1)

        progress.report(step=1, val_loss=1)
        pid = os.fork()
        if pid == 0:
            progress.flush()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert progress.flush()
        child = multiprocessing.get_context("fork").Process(target=train)
        child.start()
        child.join()
        assert child.exitcode == 0
    """
    run(exporter, script)
    assert (told(exporter).step, told(exporter).evaluations) == (20, 11)


def test_a_fork_while_another_thread_begins_to_report(exporter: Progress) -> None:
    script = """if True:
        import os, signal
        from ballast import progress
        progress._lock.acquire()
        pid = os.fork()
        if pid == 0:
            signal.alarm(60)
            progress.report(step=9)
            os._exit(0 if progress.flush(60) else 1)
        assert os.waitpid(pid, 0)[1] == 0
    """
    run(exporter, script)
    assert told(exporter).step == 9


def test_a_training_in_a_spawned_process(exporter: Progress, tmp_path: Path) -> None:
    (tmp_path / "training.py").write_text(
        "from ballast import progress\n\n\ndef train():\n    progress.report(step=5)\n    progress.report(step=6)\n"
    )
    script = """if True:
        import multiprocessing
        import training
        child = multiprocessing.get_context("spawn").Process(target=training.train)
        child.start()
        child.join()
        assert child.exitcode == 0
    """
    run(exporter, script, PYTHONPATH=f"{ROOT / 'operator'}:{tmp_path}")
    assert told(exporter).step == 6
