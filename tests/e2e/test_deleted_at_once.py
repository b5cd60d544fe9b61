"""A thousand jobs, waiting, placing and running, are deleted at once: nothing of them is left, nor remembered."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.cluster import Cluster
from tests.e2e.aftermath import admissions
from tests.e2e.audit import AuditLog, Request, writes_of_operator
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, phase
from tests.e2e.nodes import pool
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators

JOBS, HELD = 1000, 40
NODES, GPUS = 3, 40
AT_LEAST = {"Queued": 300, "Placing": HELD, "Running": 60}
CLIENTS = 8
CREATED = 201
LONG_SECONDS = 240.0


@pytest.mark.slow
def test_nothing_is_left_of_a_thousand_jobs(
    cluster: Cluster, namespace: Namespace, operators: Operators, audit: AuditLog
) -> None:
    settings = {"BALLAST_REQUESTS_PER_SECOND": "300"}
    with (
        pool(cluster, namespace.kube, "crowded", NODES, GPUS) as labels,
        operators.start(settings=settings) as operator,
    ):
        operator.wait_until_ready()
        others = _known(operator)
        jobs = [training_job(f"job-{n:03}").gpus(1).selects(labels).runs(seconds=600) for n in range(JOBS)]
        namespace.submit(*(job.held() for job in jobs[:HELD]))
        path = namespace.jobs_path
        _by_many(cluster, [partial(_create, path, job.manifest()) for job in jobs[HELD:]])
        namespace.wait(namespace.jobs_path, None, _are_mixed, f"at least {AT_LEAST}", LONG_SECONDS)

        _by_many(cluster, [partial(_delete, f"{path}/{job.name}") for job in jobs])
        namespace.submit(training_job("next").pods(NODES).gpus(GPUS).selects(labels).runs(seconds=600))
        namespace.wait_for_phase("next", "Running", timeout_seconds=LONG_SECONDS)
        assert operator.ask("/readyz")[0] == 200
        assert operator.ask("/healthz")[0] == 200
        assert _known(operator) == others + 1

        namespace.delete_job("next")
        namespace.wait_until_gone()
        assert _known(operator) == others
        assert "Traceback" not in operator.log_text()
        requests = audit.about(namespace.name)
        assert max(admissions(writes_of_operator(requests, namespace.name)).values()) == 1
        _no_job_was_made_twice(requests)


def _no_job_was_made_twice(requests: Sequence[Request]) -> None:
    """Check it for as long as each TrainingJob was there: its watch may lag behind that of its Job, which goes too."""
    deleted: set[str] = set()
    made: set[str] = set()
    for request in requests:
        if request.resource == "trainingjobs" and request.verb == "delete" and request.succeeded:
            deleted.add(request.name)
        elif request.resource == "jobs" and request.by_operator and request.code == CREATED:
            owner, _, _ = request.name.rpartition("-")
            assert request.name not in made or owner in deleted, f"{request.name} was made twice"
            made.add(request.name)
    assert made


def _by_many(cluster: Cluster, requests: Sequence[Callable[[Kube], None]]) -> None:
    """Make the requests with several clients at the same time."""

    def some(number: int) -> None:
        with Kube(cluster.kubeconfig) as kube:
            for request in requests[number::CLIENTS]:
                request(kube)

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(some, range(CLIENTS)))


def _create(path: str, body: JsonObject, kube: Kube) -> None:
    kube.create(path, body)


def _delete(path: str, kube: Kube) -> None:
    kube.delete(path)


def _are_mixed(jobs: list[JsonObject]) -> bool:
    phases = Counter(map(phase, jobs))
    return all(phases[each] >= least for each, least in AT_LEAST.items())


def _known(operator: OperatorProcess) -> int:
    """Return how many TrainingJobs the operator knows of."""
    _, text = operator.ask("/metrics")
    [family] = [each for each in text_string_to_metric_families(text) if each.name == "ballast_trainingjobs"]
    return int(sum(sample.value for sample in family.samples))
