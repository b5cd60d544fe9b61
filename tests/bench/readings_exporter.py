"""What the exporter costs each pod: the real process beside a real agent, a trainer that reports, and scrapes.

The pod has one GPU, of the simulated NVML; the agent is asked once a second over TLS, the trainer reports two metrics
once a second, of which one is evaluated for early stopping, and `/metrics` is fetched every 15 s. Each run measures:

- `exporter_cpu_percent`: CPU time of the whole process in percent of one core;
- `exporter_rss_mb`: the most memory that it held at any time (`VmHWM`);
- `series_per_pod`: the series that it exposes; Prometheus adds a few of its own to each target (`up` and others).
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ballast.api import agentserving, exporter
from tests.bench import asking_pods, metering_bench, scrape
from tests.bench.agent_process import AgentProcess
from tests.bench.bench_cluster import BenchCluster, bench_cluster, say
from tests.bench.cpu_time import cpu_seconds
from tests.bench.measurement import Aim, Measurement
from tests.bench.metering_node import MeteringNode
from tests.bench.readings_trainer import METRIC, TRAINING_METRIC
from tests.e2e.operator_process import REPOSITORY, free_port

POLL_SECONDS: Final = 1
SCRAPE_SECONDS: Final = 15.0
WARM_SECONDS: Final = 15.0
MEASURED_SECONDS: Final = 60.0
PATIENCE_SECONDS: Final = 60.0
STOP_SECONDS: Final = 10.0

AIMS: Final = (
    ("exporter_cpu_percent", "%", Aim("<=", 0.3)),
    ("exporter_rss_mb", "MB", Aim("<=", 40)),
    ("series_per_pod", "series", Aim("<=", 40)),
)
_OF_PROMETHEUS: Final = "and 5 that Prometheus adds to each target"


@dataclass(frozen=True)
class Run:
    """The figures of one run, by the metrics' names."""

    exporter_cpu_percent: float
    exporter_rss_mb: float
    series_per_pod: float
    rss_in_the_end_mb: float


def measure(runs: int) -> list[Measurement]:
    """Return the exporter's figures."""
    done = []
    with bench_cluster() as bench, tempfile.TemporaryDirectory() as folder:
        uids = metering_bench.populate(bench, pods=1)
        for number in range(1, runs + 1):
            run_folder = Path(folder) / str(number)
            run_folder.mkdir()
            done.append(_one_run(bench, run_folder, uids))
            say(f"run {number} of {runs}: {done[-1]}")
    load = f"the machine has {os.cpu_count()} CPUs and a load average of {os.getloadavg()[1]:.1f}"
    in_the_end = max(run.rss_in_the_end_mb for run in done)
    notes = (
        f"asks every {POLL_SECONDS} s, scraped every {SCRAPE_SECONDS:.0f} s, a report a second",
        f"its peak, VmHWM; {in_the_end:.1f} MB in the end, by smaps_rollup",
        _OF_PROMETHEUS,
    )
    return [
        Measurement("readings", name, unit, aim, [getattr(run, name) for run in done], load, note)
        for (name, unit, aim), note in zip(AIMS, notes, strict=True)
    ]


def _one_run(bench: BenchCluster, folder: Path, uids: dict[str, str]) -> Run:
    [uid] = uids.values()
    node = MeteringNode(folder, uids, gpus=1)
    with node.living(), ExitStack() as stack:
        agent, authorities = stack.enter_context(metering_bench.agent(bench, folder, node, hertz=1))
        files = folder / "agent-files"
        files.mkdir()
        (files / agentserving.TOKEN_FILE).write_text(asking_pods.tokens(bench.kube, uids)[uid])
        (files / agentserving.CA_FILE).write_bytes(authorities)
        pid, metrics_url, log = stack.enter_context(_exporter(folder, files, agent, uid))
        stack.enter_context(_scraping(metrics_url))
        _wait_until_told(metrics_url, log)
        time.sleep(WARM_SECONDS)
        began, used = time.monotonic(), cpu_seconds(pid)
        time.sleep(MEASURED_SECONDS)
        percent = 100 * (cpu_seconds(pid) - used) / (time.monotonic() - began)
        series = len(_series(_fetch(metrics_url)))
        return Run(percent, scrape.peak_rss_megabytes(pid), series, scrape.rss_megabytes(pid))


@contextmanager
def _exporter(folder: Path, files: Path, agent: AgentProcess, uid: str) -> Iterator[tuple[int, str, Path]]:
    """The exporter, and a trainer that reports to it; yields its process id, where its metrics are, and its log."""
    metrics_port, progress_port, log = free_port(), free_port(), folder / "exporter.log"
    state, words = folder / "exporter-state", folder / "termination-log"
    state.mkdir()
    words.touch()
    environment = {
        "MALLOC_ARENA_MAX": "1",  # as in its image
        exporter.JOB_NAME_VARIABLE: "resnet",
        exporter.JOB_UID_VARIABLE: "8d3c1e0e-4d8b-4c0f-9b35-0c6a3d2a8b11",
        exporter.ATTEMPT_VARIABLE: "1",
        exporter.POD_UID_VARIABLE: uid,
        exporter.METRIC_VARIABLE: METRIC,
        exporter.TRAINING_METRIC_VARIABLE: TRAINING_METRIC,
        exporter.TRAINER_MILLICORES_VARIABLE: "500",
        exporter.POLL_SECONDS_VARIABLE: str(POLL_SECONDS),
        exporter.METRICS_PORT_VARIABLE: str(metrics_port),
        exporter.PROGRESS_PORT_VARIABLE: str(progress_port),
        agentserving.HOST_VARIABLE: "127.0.0.1",
        agentserving.PORT_VARIABLE: str(agent.https_port),
        agentserving.NODE_VARIABLE: metering_bench.NODE,
        "BALLAST_AGENT_FILES": str(files),
        "BALLAST_STATE_PATH": str(state),
        "BALLAST_TERMINATION_LOG": str(words),
    }
    url = f"http://127.0.0.1:{progress_port}{exporter.PROGRESS_PATH}"
    with (
        _process(["ballast", "exporter"], environment, log) as process,
        _process(["tests.bench.readings_trainer"], {exporter.PROGRESS_URL_VARIABLE: url}, folder / "trainer.log"),
    ):
        yield process.pid, f"http://127.0.0.1:{metrics_port}{exporter.METRICS_PATH}", log
        if process.poll() is not None:
            raise RuntimeError(f"the exporter has ended:\n{log.read_text(errors='replace')[-6000:]}")


@contextmanager
def _process(words: list[str], environment: Mapping[str, str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    given = {name: value for name, value in os.environ.items() if not name.startswith("BALLAST_")}
    path = os.pathsep.join([str(REPOSITORY / "operator"), str(REPOSITORY)])
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", *words],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env={**given, "PYTHONPATH": path, **environment},
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def _scraping(url: str) -> Iterator[None]:
    """Fetch the metrics as often as Prometheus does, until the end of the block."""
    stop = threading.Event()

    def scrape_on() -> None:
        while not stop.wait(SCRAPE_SECONDS):
            _fetch(url)

    thread = threading.Thread(target=scrape_on, daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _wait_until_told(url: str, log: Path) -> None:
    """Wait until the exporter tells what the agent and the trainer told it."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    text = ""
    while time.monotonic() < deadline:
        with suppress(OSError):  # it begins
            text = _fetch(url)
        if exporter.GPU_ENERGY in text and exporter.EVALUATION_VALUE in text:
            return
        time.sleep(0.2)
    raise TimeoutError(f"the exporter tells no energy or no evaluation:\n{text}\n{log.read_text()[-6000:]}")


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:  # noqa: S310 - http only
        text: str = answer.read().decode()
    return text


def _series(exposition: str) -> list[str]:
    """Return the lines of an exposition that are series."""
    return [line for line in exposition.splitlines() if line and not line.startswith("#")]
