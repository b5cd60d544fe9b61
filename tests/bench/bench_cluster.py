"""A cluster of a benchmark's own, and what every benchmark tells while it works.

Invariant: the cluster has a name of its own, and is removed however the benchmark ends.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.cluster import Cluster
from tests.cluster.paths import cluster_name
from tests.e2e.kube import Kube
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators, install_api

PATIENCE_SECONDS = 600.0


@dataclass(frozen=True)
class BenchCluster:
    """A cluster with simulated nodes only, on which the operator's API and rights are installed."""

    cluster: Cluster
    kube: Kube
    operators: Operators


@contextmanager
def bench_cluster() -> Iterator[BenchCluster]:
    """Bring a cluster up, and down at the end; if the benchmark fails, the end of the operator's log is shown."""
    cluster = Cluster(f"{cluster_name()[:34].rstrip('-')}-bench")
    cluster.down()  # what a killed benchmark left
    try:
        cluster.up(real_nodes=0)
        install_api(cluster)
        with Kube(cluster.kubeconfig) as kube, tempfile.TemporaryDirectory() as folder:
            operators = Operators(cluster, Path(folder))
            try:
                yield BenchCluster(cluster, kube, operators)
            except BaseException:
                say(operators.log_tail())
                raise
            finally:
                operators.stop()
    finally:
        cluster.down()


def metrics_of(operator: OperatorProcess) -> str:
    """Return an operator's metrics.

    Raises:
        RuntimeError: it does not answer.
    """
    status, text = operator.ask("/metrics")
    if status != 200:
        raise RuntimeError(f"the operator does not answer /metrics: {text}\n{operator.log_tail()}")
    return text


def wait(holds: Callable[[], bool], what: str) -> None:
    """Wait until something holds.

    Raises:
        TimeoutError: it never does.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {PATIENCE_SECONDS:.0f} s: {what}")
        time.sleep(0.5)


@contextmanager
def timed(what: str) -> Iterator[None]:
    """Say what begins, and how long it took."""
    say(f"{what} ...")
    started = time.monotonic()
    yield
    say(f"{what}: {time.monotonic() - started:.1f} s")


def say(text: str) -> None:
    """Tell a person who watches."""
    print(f"[bench] {text}", file=sys.stderr, flush=True)
