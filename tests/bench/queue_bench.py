"""The operator beside 5,000 queued TrainingJobs on 500 simulated nodes, on an embedded cluster of its own.

The nodes are full of other pods, so that the jobs wait; 26 nodes are kept for jobs that come and go. Each run starts a
new operator and measures:

- `ready_seconds`: from the start of the process until `/readyz` says 200;
- `requests_per_job`: all requests of the operator but watches and the Lease, from the API server's audit log, while
  one-pod CPU jobs are admitted and begin to run and nothing else happens, divided by the number of those jobs;
- `cycle_p99_ms`: of the control cycles while jobs arrive, more than run at once, so that they wait, are admitted, run
  for five seconds and finish; each end makes the operator look at every waiting job again;
- `rss_mb`: the most memory that the process held at any time of the run.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass

from tests.bench import population, scrape
from tests.bench.bench_cluster import PATIENCE_SECONDS, BenchCluster, bench_cluster, metrics_of, say, timed, wait
from tests.bench.measurement import Aim, Measurement
from tests.cluster import Cluster
from tests.e2e.audit import OPERATOR_AGENT, OPERATOR_USER, AuditLog
from tests.e2e.kube import Kube
from tests.e2e.operator_process import OperatorProcess

CPU_JOBS = 50
ARRIVALS_PER_RUN = 200
LOAD_SECONDS = 45
QUIET_SECONDS = 3.0


@dataclass(frozen=True)
class Run:
    """The figures of one run."""

    ready_seconds: float
    requests_per_job: float
    cycle_p99_ms: float
    rss_megabytes: float
    jobs_finished: int


def measure(runs: int, jobs: int, nodes: int) -> list[Measurement]:
    """Return the operator's figures."""
    with bench_cluster() as bench:
        _populate(bench, jobs, nodes)
        _queue_all(bench, jobs)
        done = []
        for number in range(1, runs + 1):
            run = _one_run(bench, number)
            say(f"run {number} of {runs}: {run}")
            done.append(run)
    load = f"{jobs} queued jobs, {nodes} nodes, {ARRIVALS_PER_RUN} arrivals in {LOAD_SECONDS} s"
    load += f", {min(run.jobs_finished for run in done)} or more jobs finished a run"
    load += f"; the machine has {os.cpu_count()} CPUs and a load average of {os.getloadavg()[1]:.1f}"
    return [
        Measurement("operator", "ready_seconds", "s", Aim("<", 15), [run.ready_seconds for run in done], load),
        Measurement("operator", "cycle_p99_ms", "ms", Aim("<", 250), [run.cycle_p99_ms for run in done], load),
        Measurement("operator", "rss_mb", "MB", Aim("<", 400), [run.rss_megabytes for run in done], load),
        Measurement("operator", "requests_per_job", "requests", Aim("<=", 7), [run.requests_per_job for run in done]),
    ]


def _populate(bench: BenchCluster, jobs: int, nodes: int) -> None:
    kubeconfig = bench.cluster.kubeconfig
    fleet = population.nodes(nodes)
    with timed(f"{nodes} nodes and their occupants"):
        population.create_all(kubeconfig, "/api/v1/nodes", fleet)
        wait(lambda: population.ready_nodes(bench.kube) == nodes, f"{nodes} ready nodes")
        population.create_all(kubeconfig, population.PODS_PATH, population.occupants(fleet))
    with timed(f"{jobs} TrainingJobs"):
        waiting = [job.manifest() for job in population.waiting_jobs("waits", jobs, seed=1)]
        population.create_all(kubeconfig, population.JOBS_PATH, waiting)


def _queue_all(bench: BenchCluster, jobs: int) -> None:
    """Let a first operator, which is not measured, tell every job why it waits."""
    with timed(f"an operator queues {jobs} jobs"), bench.operators.start() as operator:
        operator.wait_until_ready(PATIENCE_SECONDS)
        wait(lambda: scrape.jobs_in_phase(metrics_of(operator), "Queued") >= jobs, f"{jobs} queued jobs")
        operator.stop()


def _one_run(bench: BenchCluster, number: int) -> Run:
    started = time.monotonic()
    with bench.operators.start(module="tests.bench.fine_buckets") as operator:
        operator.wait_until_ready(PATIENCE_SECONDS)
        ready_seconds = time.monotonic() - started
        requests_per_job = _requests_per_job(bench.cluster, bench.kube, number)
        before = scrape.cycles(metrics_of(operator))
        finished = scrape.jobs_in_phase(metrics_of(operator), "Succeeded")
        _load(bench.cluster, number)
        p99 = scrape.quantile(0.99, before, scrape.cycles(metrics_of(operator)))
        finished = scrape.jobs_in_phase(metrics_of(operator), "Succeeded") - finished
        rss = scrape.peak_rss_megabytes(operator.pid)
        _calm(bench.kube, operator)
        if not finished:
            raise RuntimeError("no job finished under load: there is nothing to measure")
        operator.stop()
    return Run(ready_seconds, requests_per_job, p99 * 1000, rss, finished)


def _requests_per_job(cluster: Cluster, kube: Kube, number: int) -> float:
    """Return the requests for one CPU-only job of one pod, from its submission until its last event."""
    time.sleep(QUIET_SECONDS)
    audit = AuditLog(cluster.audit_log)
    position = audit.position()
    jobs = population.cpu_jobs(f"cpu-{number}", CPU_JOBS)
    population.create_all(cluster.kubeconfig, population.JOBS_PATH, [job.manifest() for job in jobs])
    events = "/api/v1/namespaces/default/events"

    def told() -> int:
        about = kube.list(events, fieldSelector="involvedObject.kind=TrainingJob,reason=Running")
        return sum(event["involvedObject"]["name"].startswith(f"cpu-{number}-") for event in about)

    wait(lambda: told() == CPU_JOBS, f"{CPU_JOBS} running CPU jobs that say so")
    requests = [
        request
        for request in audit.since(position)
        if request.user == OPERATOR_USER and request.agent == OPERATOR_AGENT
        if request.verb != "watch" and request.resource != "leases"
    ]
    return len(requests) / CPU_JOBS


def _load(cluster: Cluster, number: int) -> None:
    """Let jobs arrive for some time, more than run at once; they run for five seconds and leave."""
    arrivals = population.churning_jobs(f"new-{number}", ARRIVALS_PER_RUN, seed=number)
    for batch in population.batches([job.manifest() for job in arrivals], LOAD_SECONDS):
        second = time.monotonic()
        population.create_all(cluster.kubeconfig, population.JOBS_PATH, batch)
        time.sleep(max(0.0, 1.0 - (time.monotonic() - second)))


def _calm(kube: Kube, operator: OperatorProcess) -> None:
    """Wait until nothing runs, so that the next run begins as this one did."""
    for job in kube.list(population.JOBS_PATH):
        if job["metadata"]["name"].startswith("cpu-"):
            kube.delete(f"{population.JOBS_PATH}/{job['metadata']['name']}")

    def is_calm() -> bool:
        metrics = metrics_of(operator)
        return not any(scrape.jobs_in_phase(metrics, phase) for phase in ("Pending", "Placing", "Running"))

    wait(is_calm, "no job that runs")
