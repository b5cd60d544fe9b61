"""How long the operator takes to read back what 5,000 pods expose, from a real Prometheus that scrapes them.

`query_seconds_5000_pods`: one whole cycle of `TelemetryReader.poll`, from the first query until every figure is a
frozen value: all queries, the answers' way over HTTP, their parsing, the decoding of evaluations. The pods are a bad
case: 5,000 jobs of one pod each with one GPU, that all stop early by a metric beside a training metric, and that all
have reported a new evaluation since the last cycle, so that all rings are read. Every series that an exporter shows of
such a pod is there, is scraped every 15 s, and has changed with each scrape; the window is full before it is measured.
"""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ballast.api import exporter
from ballast.api.finalreading import Evaluation
from ballast.decide.telemetry import Poll
from ballast.observe.prometheus.client import PrometheusClient
from ballast.observe.prometheus.reader import TelemetryReader
from tests.bench.measurement import Aim, Measurement
from tests.integration.prometheus_queries.exposition import ExposedPod
from tests.integration.prometheus_queries.server import PrometheusServer, Target

PODS: Final = 5000
PODS_OF_A_TARGET: Final = 50
SCRAPE_SECONDS: Final = 15
STALE_SECONDS: Final = 60.0
WARM_SCRAPES: Final = 9
"""As many as fill the window of twice `STALE_SECONDS`."""
CYCLES: Final = 5
AIM: Final = Aim("<", 1)
NAMESPACES: Final = 20


@dataclass(frozen=True)
class Figures:
    """What was measured.

    Attributes:
        seconds: of each cycle in which every ring was read.
        quiet_seconds: of each cycle right after, in which none was.
        series: how many Prometheus had.
        evaluations: how many were new in the cycles measured.
    """

    seconds: Sequence[float]
    quiet_seconds: Sequence[float]
    series: int
    evaluations: int


def measure(cycles: int = CYCLES, pods: int = PODS) -> Measurement:
    """Return the figure for `make bench`."""
    found = figures(cycles, pods)
    quiet = sorted(found.quiet_seconds)[len(found.quiet_seconds) // 2]
    return Measurement(
        "readings",
        "query_seconds_5000_pods",
        "s",
        AIM,
        found.seconds,
        note=f"{found.series} series; {quiet:.3f} s in a cycle without new evaluations",
    )


def figures(cycles: int = CYCLES, pods: int = PODS, scrape_seconds: int = SCRAPE_SECONDS) -> Figures:
    """Return how long cycles took.

    Args:
        cycles: how many.
        pods: how many.
        scrape_seconds: how often each is scraped.
    """
    with tempfile.TemporaryDirectory() as folder, _targets(pods) as address:
        targets = math.ceil(pods / PODS_OF_A_TARGET)
        configs = [
            {
                "job_name": f"pods-{number}",
                "metrics_path": f"/{number}",
                "static_configs": [{"targets": [address], "labels": {"namespace": f"team-{number % NAMESPACES}"}}],
            }
            for number in range(targets)
        ]
        with PrometheusServer(Path(folder), configs, f"{scrape_seconds}s") as server:
            time.sleep(WARM_SCRAPES * scrape_seconds)
            return asyncio.run(_cycles(server.url, cycles, pods, scrape_seconds))


async def _cycles(url: str, cycles: int, pods: int, scrape_seconds: int) -> Figures:
    seconds, quiet, new = [], [], 0
    async with PrometheusClient(url) as client:
        reader = TelemetryReader(client, {}, scrape_seconds, STALE_SECONDS, time.time)
        _check(await reader.poll(), pods)
        for _ in range(cycles):
            await asyncio.sleep(scrape_seconds * 1.1)
            began = time.perf_counter()
            poll = await reader.poll()
            seconds.append(time.perf_counter() - began)
            new += _check(poll, pods)
            began = time.perf_counter()
            _check(await reader.poll(), pods)
            quiet.append(time.perf_counter() - began)
        answer = await client.query('sum(scrape_samples_scraped{job=~"pods-.+"})', time.time(), list)
    return Figures(seconds, quiet, int(answer.value[0][1]), new)


def _check(poll: Poll, pods: int) -> int:
    """Return how many evaluations are new.

    Raises:
        RuntimeError: the poll does not know all pods.
    """
    if poll.problem or len(poll.jobs) != pods:
        raise RuntimeError(f"{len(poll.jobs)} of {pods} jobs are known: {poll.problem}")
    return sum(len(each.training.ring) for each in poll.jobs.values() if each.training is not None)


# -- what is scraped, in a process of its own, so that it takes no time from who asks


@contextmanager
def _targets(pods: int) -> Iterator[str]:
    command = [sys.executable, "-m", __name__, str(pods)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
    finally:
        process.communicate()


class _Pods:
    """Renders the pods of a target, with other values each time."""

    def __init__(self, pods: int) -> None:
        numbers = range(math.ceil(pods / PODS_OF_A_TARGET))
        self._pods = {f"/{number}": [_pod() for _ in range(PODS_OF_A_TARGET)] for number in numbers}
        self._scrapes = dict.fromkeys(self._pods, 100)

    def render(self, path: str) -> str | None:
        if path not in self._pods:
            return None
        self._scrapes[path] = count = self._scrapes[path] + 1
        for pod in self._pods[path]:
            pod.read_at = time.time()
            pod.evaluations = count
            pod.joules = {component: count * 4321.125 + number for number, component in enumerate(pod.joules)}
            pod.watts = {component: 100 + 0.5 * count + number for number, component in enumerate(pod.watts)}
            pod.training = {name: value + 0.125 for name, value in pod.training.items()}
            newest = range(count - exporter.RING + 1, count + 1)
            pod.ring = [Evaluation(number, 1 / number, number * 50, 2 / number) for number in newest]
        return "".join(pod.text() for pod in self._pods[path])


_TOLD: Final = (
    exporter.STEP,
    exporter.TOTAL_STEPS,
    exporter.EPOCH,
    exporter.PERCENT,
    exporter.STEPS_PER_SECOND,
    exporter.SAMPLES_PER_SECOND,
    exporter.SAMPLES,
    exporter.JOULES_PER_STEP,
    exporter.SECONDS_LEFT,
    exporter.REPORTED_AT,
    exporter.BEST,
    f"{exporter.METRIC}_loss",
    f"{exporter.METRIC}_accuracy",
    exporter.GPU_POWER,
    exporter.GPU_ENERGY,
    exporter.GPU_POWER_LIMIT,
)


def _pod() -> ExposedPod:
    return ExposedPod(
        str(uuid.uuid4()),
        str(uuid.uuid4()),
        joules={"gpu": 0.0, "cpu": 0.0, "dram": 0.0},
        watts={"gpu": 0.0, "cpu": 0.0, "dram": 0.0},
        training=dict.fromkeys(_TOLD, 50.0),
    )


if __name__ == "__main__":
    with Target(_Pods(int(sys.argv[1])).render) as served:
        print(served.address, flush=True)
        sys.stdin.read()
