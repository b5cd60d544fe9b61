"""How many jobs the operator admits in a second, on the shape of the `baseline` benchmark of Kueue's scheduler.

30 namespaces with 500 jobs of one pod each, on 30 simulated nodes of 20 GPUs: 350 x 1 GPU (run 0.2 s, one created every
0.1 s), 100 x 5 GPUs (0.5 s, every 0.5 s), 50 x 20 GPUs (1 s, every 1.2 s), of priority 50, 100 and 200. No Job, Service
or pod is created; the harness completes a job when it has run its time after its admission. Only etcd and the API
server run beside the operator and the harness. The rate is the number of jobs over the time from the first creation to
the last admission that the harness's watch shows:

- `admissions_per_second`: at 500 requests per second;
- `admissions_per_second_50qps`: at 50;
- `admissions_rss_mb`: the most memory that the operator held in either.

On 2 CPUs each takes about 6 minutes at full scale; `--scale 0.1` is a quick look, and no figure to tell others. The API
server keeps both CPUs busy, so that a figure counts only where `note` says that other programs took next to nothing.
"""

from __future__ import annotations

import asyncio
import os
from dataclasses import dataclass

from tests.bench import arrivals, scrape
from tests.bench.admission_load import AdmissionLoad, LoadResult
from tests.bench.api import Api
from tests.bench.bench_cluster import BenchCluster, bench_cluster, metrics_of, say
from tests.bench.cpu_time import CpuTime
from tests.bench.measurement import Aim, Measurement

UNUSED = ("kube-controller-manager", "kube-scheduler", "kwok-controller", "prometheus")
METRIC_BY_RATE = {500: "admissions_per_second", 50: "admissions_per_second_50qps"}
RSS_OF_KUEUE_MEGABYTES = 665  # 634 MiB


@dataclass(frozen=True)
class Run:
    """The figures of one run."""

    load: LoadResult
    rss_megabytes: float
    told: str


def measure(runs: int, scale: float) -> list[Measurement]:
    """Return the rates of admission."""
    done: dict[int, list[Run]] = {}
    for rate in METRIC_BY_RATE:
        done[rate] = []
        for number in range(1, runs + 1):
            run = _one_run(rate, scale)
            say(f"{rate} requests/s, run {number} of {runs}: {run.load.admissions_per_second:.1f}/s; {run.told}")
            done[rate].append(run)
    aim = Aim(">=", 45)
    return [
        *(
            Measurement(
                "operator",
                metric,
                "1/s",
                aim,
                [run.load.admissions_per_second for run in done[rate]],
                note=done[rate][-1].told,
            )
            for rate, metric in METRIC_BY_RATE.items()
        ),
        Measurement(
            "operator",
            "admissions_rss_mb",
            "MB",
            Aim("<", RSS_OF_KUEUE_MEGABYTES),
            [max(done[rate][number].rss_megabytes for rate in METRIC_BY_RATE) for number in range(runs)],
        ),
    ]


def _one_run(requests_per_second: int, scale: float) -> Run:
    with bench_cluster() as bench:
        _prepare(bench)
        settings = {"BALLAST_REQUESTS_PER_SECOND": str(requests_per_second)}
        profile = os.environ.get("BENCH_PROFILE")
        if profile:
            settings["BENCH_PROFILE"] = f"{profile}.{requests_per_second}"
        with bench.operators.start(module="tests.bench.admit_only", settings=settings) as operator:
            operator.wait_until_ready()
            cpu = CpuTime(bench.cluster.folder, {operator.pid: "operator"})
            load = asyncio.run(_load(bench, scale))
            told = [
                f"{load.jobs} jobs in {load.seconds:.0f} s, created at {load.creations_per_second:.0f}/s",
                f"CPU time of {os.cpu_count()} CPUs: {cpu.told()}",
                f"requests per job: {scrape.requests_per_job(metrics_of(operator), load.jobs)}",
                f"load average {os.getloadavg()[1]:.1f}",
            ]
            if scale != 1:
                told.append(f"at scale {scale:g}, no official figure")
            rss = scrape.peak_rss_megabytes(operator.pid)
            operator.stop()
    return Run(load, rss, "; ".join(told))


def _prepare(bench: BenchCluster) -> None:
    bench.cluster.add_gpu_nodes(arrivals.nodes())
    for name in arrivals.namespaces():
        bench.kube.create("/api/v1/namespaces", {"metadata": {"name": name}})
    for priority_class in arrivals.priority_classes():
        bench.kube.create("/apis/scheduling.k8s.io/v1/priorityclasses", priority_class)
    bench.operators.kubeconfig()
    for component in UNUSED:
        bench.cluster.kill_component(component)


async def _load(bench: BenchCluster, scale: float) -> LoadResult:
    async with await Api.connect(bench.cluster.kubeconfig) as api:
        return await AdmissionLoad(api, arrivals.schedule(scale), say).run()
