"""The webhook as a process beside the cluster, called by its API server; no operator runs meanwhile."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.cluster import Cluster
from tests.e2e.kube import Kube, Refused
from tests.e2e.operator_process import free_port
from tests.e2e.operators import Operators
from tests.integration.webhook.beside import TIMEOUT_SECONDS, WebhookBeside, configure, remove


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
    while problem := _failed_call(kube):
        assert time.monotonic() < deadline, problem
        time.sleep(0.1)


def _failed_call(kube: Kube) -> str:
    """Call the webhook; return why that did not work, if so."""
    try:
        kube.create("/apis/ballast.dev/v1alpha1/namespaces/default/trainingjobs?dryRun=All", PROBE)
    except Refused as error:
        return error.message if error.status == 500 else ""
    return ""


PROBE = {
    "apiVersion": "ballast.dev/v1alpha1",
    "kind": "TrainingJob",
    "metadata": {"name": "probe"},
    "spec": {"template": {"spec": {"containers": [{"name": "trainer", "image": "x"}]}}},
}
