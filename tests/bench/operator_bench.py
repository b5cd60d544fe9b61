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
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.bench import population, scrape
from tests.bench.measurement import Aim, Measurement
from tests.cluster import Cluster
from tests.cluster.paths import cluster_name
from tests.e2e.audit import OPERATOR_AGENT, OPERATOR_USER, AuditLog
from tests.e2e.kube import Kube
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators, install_api

CPU_JOBS = 50
ARRIVALS_PER_RUN = 200
LOAD_SECONDS = 45
QUIET_SECONDS = 3.0
PATIENCE_SECONDS = 600.0


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
    with _cluster(jobs, nodes) as (cluster, kube, operators):
        _queue_all(cluster, operators, jobs)
        done = []
        for number in range(1, runs + 1):
            run = _one_run(cluster, kube, operators, number)
            _say(f"run {number} of {runs}: {run}")
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


@contextmanager
def _cluster(jobs: int, nodes: int) -> Iterator[tuple[Cluster, Kube, Operators]]:
    cluster = Cluster(f"{cluster_name()[:34].rstrip('-')}-bench")
    cluster.down()  # what a killed benchmark left
    try:
        cluster.up(real_nodes=0)
        install_api(cluster)
        with Kube(cluster.kubeconfig) as kube, tempfile.TemporaryDirectory() as folder:
            fleet = population.nodes(nodes)
            with _timed(f"{nodes} nodes and their occupants"):
                population.create_all(cluster.kubeconfig, "/api/v1/nodes", fleet)
                _wait(lambda: population.ready_nodes(kube) == nodes, f"{nodes} ready nodes")
                population.create_all(cluster.kubeconfig, population.PODS_PATH, population.occupants(fleet))
            with _timed(f"{jobs} TrainingJobs"):
                waiting = [job.manifest() for job in population.waiting_jobs("waits", jobs, seed=1)]
                population.create_all(cluster.kubeconfig, population.JOBS_PATH, waiting)
            operators = Operators(cluster, Path(folder))
            try:
                yield cluster, kube, operators
            except BaseException:
                _say(operators.log_tail())
                raise
            finally:
                operators.stop()
    finally:
        cluster.down()


def _queue_all(cluster: Cluster, operators: Operators, jobs: int) -> None:
    """Let a first operator, which is not measured, tell every job why it waits."""
    with _timed(f"an operator queues {jobs} jobs"), operators.start() as operator:
        operator.wait_until_ready(PATIENCE_SECONDS)
        _wait(lambda: scrape.jobs_in_phase(_metrics(operator), "Queued") >= jobs, f"{jobs} queued jobs")
        operator.stop()


def _one_run(cluster: Cluster, kube: Kube, operators: Operators, number: int) -> Run:
    started = time.monotonic()
    with operators.start(module="tests.bench.fine_buckets") as operator:
        operator.wait_until_ready(PATIENCE_SECONDS)
        ready_seconds = time.monotonic() - started
        requests_per_job = _requests_per_job(cluster, kube, number)
        before = scrape.cycles(_metrics(operator))
        finished = scrape.jobs_in_phase(_metrics(operator), "Succeeded")
        _load(cluster, number)
        p99 = scrape.quantile(0.99, before, scrape.cycles(_metrics(operator)))
        finished = scrape.jobs_in_phase(_metrics(operator), "Succeeded") - finished
        rss = scrape.peak_rss_megabytes(operator.pid)
        _calm(kube, operator)
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

    _wait(lambda: told() == CPU_JOBS, f"{CPU_JOBS} running CPU jobs that say so")
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
        metrics = _metrics(operator)
        return not any(scrape.jobs_in_phase(metrics, phase) for phase in ("Pending", "Placing", "Running"))

    _wait(is_calm, "no job that runs")


def _metrics(operator: OperatorProcess) -> str:
    status, text = operator.ask("/metrics")
    if status != 200:
        raise RuntimeError(f"the operator does not answer /metrics: {text}\n{operator.log_tail()}")
    return text


def _wait(holds: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.5)


@contextmanager
def _timed(what: str) -> Iterator[None]:
    _say(f"{what} ...")
    started = time.monotonic()
    yield
    _say(f"{what}: {time.monotonic() - started:.1f} s")


def _say(text: str) -> None:
    print(f"[bench] {text}", file=sys.stderr, flush=True)
