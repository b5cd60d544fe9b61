"""The agent's cost, and how fast and how truly it works: 8 simulated GPUs that 5 pods each share, a real API server.

Each run starts an agent that reads once a second, and then one that reads ten times a second, while every pod asks it
for its readings every 5 s on a kept connection, and measures:

- `agent_cpu_percent_1hz`, `agent_cpu_percent_10hz`: CPU time of the whole process in percent of one core;
- `agent_rss_mb`: the most memory that either held at any time;
- `enforce_p99_seconds`: from the moment before an assignment is written to the API server until the board has the
  limit, as the simulator sees it; one GPU after the other, about one a second;
- `conservation_error_percent`: by how much what pods were charged, with what nobody was, differs from what the boards'
  counters counted in the same time; the worst GPU.
"""

from __future__ import annotations

import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from tests.bench import asking_pods, population, scrape
from tests.bench.agent_process import AgentProcess
from tests.bench.asking_pods import AskingPods
from tests.bench.bench_cluster import BenchCluster, bench_cluster, say, timed, wait
from tests.bench.measurement import Aim, Measurement
from tests.bench.metering_node import GPUS, PODS_OF_A_GPU, MeteringNode
from tests.cluster import GpuNode
from tests.e2e.manifests import KWOK_TOLERATION

NODE: Final = "metered"
NODE_POWER: Final = f"/apis/ballast.dev/v1alpha1/nodepowers/{NODE}"
PODS: Final = GPUS * PODS_OF_A_GPU
WARM_SECONDS: Final = 12.0
MEASURED_SECONDS: Final = 30.0
ASSIGNMENTS: Final = 50
LOWEST_WATTS: Final = 150
PATIENCE_SECONDS: Final = 60.0

AIMS: Final = (
    ("agent_cpu_percent_1hz", "%", Aim("<=", 1)),
    ("agent_cpu_percent_10hz", "%", Aim("<=", 3)),
    ("agent_rss_mb", "MB", Aim("<=", 100)),
    ("enforce_p99_seconds", "s", Aim("<", 2)),
    ("conservation_error_percent", "%", Aim("<", 1)),
)


@dataclass(frozen=True)
class Run:
    """The figures of one run, by the metrics' names."""

    agent_cpu_percent_1hz: float
    agent_cpu_percent_10hz: float
    agent_rss_mb: float
    enforce_p99_seconds: float
    enforce_median_seconds: float
    conservation_error_percent: float


def measure(runs: int) -> list[Measurement]:
    """Return the agent's figures."""
    with bench_cluster() as bench, tempfile.TemporaryDirectory() as folder:
        uids = populate(bench, PODS)
        tokens = asking_pods.tokens(bench.kube, uids)
        done = []
        for number in range(1, runs + 1):
            run_folder = Path(folder) / str(number)
            run_folder.mkdir()
            run = _one_run(bench, run_folder, uids, tokens)
            say(f"run {number} of {runs}: {run}")
            done.append(run)
    load = f"the machine has {os.cpu_count()} CPUs and a load average of {os.getloadavg()[1]:.1f}"
    median = statistics.median(run.enforce_median_seconds for run in done)
    told = [f"{PODS} pods on {GPUS} GPUs"] * 2 + ["", f"the median is {median:.3f} s; {load}", ""]
    return [
        Measurement("metering", name, unit, aim, [getattr(run, name) for run in done], load, note)
        for (name, unit, aim), note in zip(AIMS, told, strict=True)
    ]


def populate(bench: BenchCluster, pods: int) -> dict[str, str]:
    """Make the node, its NodePower and its pods; return the pods' UIDs by name."""
    kube, kubeconfig = bench.kube, bench.cluster.kubeconfig
    with timed(f"a node with {pods} pods"):
        kube.create("/api/v1/nodes", GpuNode(NODE, "Tesla-V100-SXM2-16GB", GPUS).manifest())
        wait(lambda: population.ready_nodes(kube) == 1, "a ready node")
        kube.create(
            NODE_POWER.rpartition("/")[0],
            {"apiVersion": "ballast.dev/v1alpha1", "kind": "NodePower", "metadata": {"name": NODE}, "spec": {}},
        )
        population.create_all(kubeconfig, population.PODS_PATH, [_pod(f"pod-{number:02}") for number in range(pods)])
        wait(lambda: _running(bench) == pods, f"{pods} running pods")
    return {pod["metadata"]["name"]: pod["metadata"]["uid"] for pod in kube.list(population.PODS_PATH)}


def _pod(name: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeName": NODE,
            "tolerations": [KWOK_TOLERATION],
            "containers": [{"name": "trainer", "image": "example.com/trainer:1"}],
        },
    }


def _running(bench: BenchCluster) -> int:
    return sum(pod["status"].get("phase") == "Running" for pod in bench.kube.list(population.PODS_PATH))


def _one_run(bench: BenchCluster, folder: Path, uids: dict[str, str], tokens: dict[str, str]) -> Run:
    node = MeteringNode(folder, uids)
    with node.living():
        with agent(bench, folder, node, hertz=1) as (process, _), _asked(process, tokens):
            slow = _cpu_percent(process)
            before = _saved(node)
            enforced = _enforce(bench, node)
            rss = scrape.peak_rss_megabytes(process.pid)
        bench.kube.merge(NODE_POWER, {"spec": {"pods": []}})
        with agent(bench, folder, node, hertz=10) as (process, _), _asked(process, tokens):
            fast = _cpu_percent(process)
            rss = max(rss, scrape.peak_rss_megabytes(process.pid))
        error = conservation_error_percent(before, _saved(node))
    return Run(slow, fast, rss, quantile(0.99, enforced), quantile(0.5, enforced), error)


@contextmanager
def agent(bench: BenchCluster, folder: Path, node: MeteringNode, hertz: int) -> Iterator[tuple[AgentProcess, bytes]]:
    """An agent that is ready, and the authority that signed its certificate, as PEM."""
    settings = {
        **node.environment(),
        "BALLAST_AGENT_SAMPLE_HERTZ": str(hertz),
        "BALLAST_AGENT_OPERATOR_STALE_SECONDS": "3600",  # there is no operator, and none is needed here
    }
    log = folder / f"agent-{hertz}hz.log"
    state = node.simulator.path
    with AgentProcess(bench.cluster.kubeconfig, bench.cluster.folder, state, log, NODE, settings) as process:
        authority = asking_pods.sign_certificate(bench.kube)
        process.wait_until_ready()
        yield process, authority
        process.stop()


@contextmanager
def _asked(process: AgentProcess, tokens: dict[str, str]) -> Iterator[None]:
    with AskingPods(process.https_port, tokens).asking():
        yield


def _cpu_percent(process: AgentProcess) -> float:
    time.sleep(WARM_SECONDS)
    began, used = time.monotonic(), process.cpu_seconds()
    time.sleep(MEASURED_SECONDS)
    return 100 * (process.cpu_seconds() - used) / (time.monotonic() - began)


def _enforce(bench: BenchCluster, node: MeteringNode) -> list[float]:
    """Assign power limits, one GPU at a time; return how long each took to be on the board."""
    limits = dict.fromkeys(node.pods, float(LOWEST_WATTS))
    took = []
    for number in range(ASSIGNMENTS):
        uuid = list(node.pods)[number % GPUS]
        limits[uuid] = LOWEST_WATTS + 1.0 + number
        began = time.monotonic()
        bench.kube.merge(NODE_POWER, {"spec": {"pods": _assignments(node, limits)}})
        while node.simulator.gpu(uuid).power_limit_watts != limits[uuid]:
            if time.monotonic() - began > PATIENCE_SECONDS:
                raise TimeoutError(f"{uuid} has not got {limits[uuid]:g} W within {PATIENCE_SECONDS:.0f} s")
            time.sleep(0.005)
        took.append(time.monotonic() - began)
        time.sleep(max(0.0, 1.0 - took[-1]))
    return took


def _assignments(node: MeteringNode, limits: dict[str, float]) -> list[dict[str, Any]]:
    return [
        {"uid": uid, "operatingPoint": {"powerLimitWatts": limits[uuid]}}
        for uuid, uids in node.pods.items()
        for uid in uids
    ]


def _saved(node: MeteringNode) -> dict[str, Any]:
    """Return the totals that the agent saved last."""
    saved: dict[str, Any] = json.loads((node.state_folder / "accounts.json").read_text())
    return saved


def conservation_error_percent(before: dict[str, Any], after: dict[str, Any]) -> float:
    """Return how far charges are from what the boards counted between two savings of totals; the worst GPU.

    Raises:
        ValueError: a board counted nothing.
    """
    worst = 0.0
    for uuid, gpu in after["gpus"].items():
        counted = gpu["last"][1] - before["gpus"][uuid]["last"][1]
        if counted <= 0:
            raise ValueError(f"{uuid} counted {counted} J: there is nothing to compare")
        charged = _charged(after, uuid) - _charged(before, uuid)
        worst = max(worst, 100 * abs(charged - counted) / counted)
    return worst


def _charged(saved: dict[str, Any], uuid: str) -> float:
    of_pods = sum(
        active + idle for pod in saved["pods"].values() for gpu, _, active, idle, _ in pod["gpus"] if gpu == uuid
    )
    return float(of_pods + saved["gpus"][uuid]["unattributedJoules"])


def quantile(share: float, values: Sequence[float]) -> float:
    """Return the value that a share of all does not exceed."""
    return sorted(values)[math.ceil(share * len(values)) - 1]
