"""How many jobs come to run in a second: real objects and pods, on simulated nodes with room for all.

Jobs of one pod with a GPU are created as fast as the API server takes them; each gets its Service or Job, its pod is
created by the Job controller, bound by the scheduler and run by kwok. `placements_per_second` is the number of jobs
over the time from the first creation to the last phase Running that the harness's watch shows. The operator has its
default settings. A run takes about a minute.
"""

from __future__ import annotations

import asyncio
import json
import os
import time

from tests.bench.api import Api
from tests.bench.bench_cluster import BenchCluster, bench_cluster, metrics_of, say
from tests.bench.cpu_time import CpuTime
from tests.bench.measurement import Aim, Measurement
from tests.bench.scrape import requests_per_job
from tests.cluster import GpuNode
from tests.e2e.manifests import training_job

JOBS = 300
GPUS_PER_NODE = 8
PARALLEL = 8
PATH = "/apis/ballast.dev/v1alpha1/namespaces/default/trainingjobs"
LONGER_THAN_ANYONE_LOOKS_SECONDS = 36_000
PATIENCE_SECONDS = 300.0


def measure(runs: int, scale: float) -> list[Measurement]:
    """Return the rate of placements."""
    jobs = max(1, round(JOBS * scale))
    rates, told = [], ""
    with bench_cluster() as bench:
        # Room for the jobs of every run, because they never end.
        nodes = -(-jobs * runs // GPUS_PER_NODE)
        bench.cluster.add_gpu_nodes([GpuNode(f"gpu-{number:03}", gpus=GPUS_PER_NODE) for number in range(nodes)])
        for number in range(1, runs + 1):
            rate, told = _one_run(bench, f"run-{number}", jobs)
            say(f"placements, run {number} of {runs}: {rate:.1f}/s; {told}")
            rates.append(rate)
    if scale != 1:
        told += f"; at scale {scale:g}, no official figure"
    return [Measurement("operator", "placements_per_second", "1/s", Aim(">=", 5), rates, note=told)]


def _one_run(bench: BenchCluster, prefix: str, jobs: int) -> tuple[float, str]:
    with bench.operators.start() as operator:
        operator.wait_until_ready()
        cpu = CpuTime(bench.cluster.folder, {operator.pid: "operator"})
        seconds = asyncio.run(_run_all(bench, prefix, jobs))
        told = [
            f"{jobs} jobs in {seconds:.0f} s",
            f"CPU time of {os.cpu_count()} CPUs: {cpu.told()}",
            f"requests per job: {requests_per_job(metrics_of(operator), jobs)}",
        ]
        operator.stop()
    return jobs / seconds, "; ".join(told)


async def _run_all(bench: BenchCluster, prefix: str, jobs: int) -> float:
    """Create jobs and return the seconds until the last of them runs."""
    async with await Api.connect(bench.cluster.kubeconfig) as api:
        since = await api.version(PATH)
        started = time.monotonic()
        async with asyncio.timeout(PATIENCE_SECONDS), asyncio.TaskGroup() as tasks:
            creation = tasks.create_task(_create(api, prefix, jobs))
            running: set[str] = set()
            async for _, job in api.watch(PATH, since):
                if (job.get("status") or {}).get("phase") == "Running":
                    running.add(job["metadata"]["uid"])
                if len(running) == jobs:
                    break
            seconds = time.monotonic() - started
            await creation
    return seconds


async def _create(api: Api, prefix: str, jobs: int) -> None:
    names = iter(f"{prefix}-{number:03}" for number in range(jobs))

    async def create() -> None:
        for name in names:
            job = training_job(name).gpus(1).runs(seconds=LONGER_THAN_ANYONE_LOOKS_SECONDS)
            await api.create(PATH, json.dumps(job.manifest()).encode())

    await asyncio.gather(*(create() for _ in range(PARALLEL)))
