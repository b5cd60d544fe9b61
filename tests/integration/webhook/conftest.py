"""The webhook as a process beside the cluster, called by its API server; no operator runs meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.kube import Kube
from tests.e2e.operator_process import free_port
from tests.e2e.operators import Operators
from tests.integration.webhook.beside import TIMEOUT_SECONDS, WebhookBeside, configure, failed_call, remove


@pytest.fixture
def webhook_port(kube: Kube, operators: Operators, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A port at which the API server calls the webhook; what is to answer there has the operator's rights."""
    operators.stop()
    monkeypatch.setenv("KUBECONFIG", str(operators.kubeconfig()))
    remove(kube)
    port = free_port()
    configure(kube, port)
    yield port
    remove(kube)


@pytest.fixture(scope="module")
def team(cluster: Cluster, operators: Operators) -> Iterator[Kube]:
    """A client of a cluster whose TrainingJobs a webhook reviews, as long as the module lasts."""
    operators.stop()
    port = free_port()
    with pytest.MonkeyPatch.context() as patch, Kube(cluster.kubeconfig) as kube:
        patch.setenv("KUBECONFIG", str(operators.kubeconfig()))
        remove(kube)
        configure(kube, port)
        try:
            with WebhookBeside(port):
                wait_until_it_answers(kube)
                yield kube
        finally:
            remove(kube)


def wait_until_it_answers(kube: Kube) -> None:
    """Wait until the API server gets answers."""
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while problem := failed_call(kube):
        assert time.monotonic() < deadline, problem
        time.sleep(0.1)
