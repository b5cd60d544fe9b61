"""The operator as the chart installs it: in the cluster, from its image, with its own service account."""

from __future__ import annotations

import json
import time
import urllib.request
from urllib.parse import urlencode

import pytest

from tests.cluster import Cluster
from tests.cluster.api_client import wait_until
from tests.e2e.audit import AuditLog
from tests.e2e.kube import JsonObject, Kube, Refused
from tests.e2e.manifests import TrainingJobManifest, training_job
from tests.e2e.namespace import Namespace, condition
from tests.e2e.operators import OPERATOR_NAME, OPERATOR_NAMESPACE
from tests.e2e.real import TRAINING_TIMEOUT_SECONDS, real_job

WEBHOOK_TIMEOUT_SECONDS = 60.0

pytestmark = pytest.mark.usefixtures("deployed_operator")


def test_two_replicas_are_ready_and_one_leads(kube: Kube) -> None:
    pods = _operators(kube)
    assert len(pods) == 2
    for pod in pods:
        conditions = {found["type"]: found["status"] for found in pod["status"]["conditions"]}
        assert conditions["Ready"] == "True"
        assert pod["spec"]["serviceAccountName"] == OPERATOR_NAME
    lease = kube.get(f"/apis/coordination.k8s.io/v1/namespaces/{OPERATOR_NAMESPACE}/leases/{OPERATOR_NAME}")
    assert lease["spec"]["holderIdentity"].partition("_")[0] in {pod["metadata"]["name"] for pod in pods}


def test_it_operates_and_nothing_is_forbidden(
    namespace: Namespace, cluster: Cluster, kube: Kube, audit: AuditLog
) -> None:
    position = audit.position()
    namespace.submit(training_job("gang").pods(2).gpus(4).torchrun().on_node("v100-0"))
    namespace.wait_for_phase("gang", "Succeeded")
    namespace.wait_for_event("gang", "Succeeded")

    asked = [request for request in audit.since(position) if request.by_operator]
    assert asked
    assert [f"{r.verb} {r.resource}: {r.message}" for r in asked if r.code in {401, 403}] == []
    for pod in _operators(kube):
        log = cluster.kubectl("-n", OPERATOR_NAMESPACE, "logs", pod["metadata"]["name"])
        assert '"ready"' in log
        assert "Traceback" not in log


def test_its_webhook_refuses_what_could_never_run(namespace: Namespace) -> None:
    deadline = time.monotonic() + WEBHOOK_TIMEOUT_SECONDS
    while (told := _refusal(namespace, training_job("sweep").pod(priorityClassName="no-such-class"))) is None:
        assert time.monotonic() < deadline, "the webhook does not answer"
        namespace.delete_job("sweep")
        time.sleep(0.2)
    assert "spec.template.spec.priorityClassName: there is no PriorityClass 'no-such-class'" in told
    assert _refusal(namespace, training_job("sweep")) is None


def test_prometheus_finds_both_and_one_leads(cluster: Cluster) -> None:
    wait_until(
        lambda: _leads(cluster) == [0, 1], "both replicas in Prometheus, one of them leading", timeout_seconds=90
    )


def _leads(cluster: Cluster) -> list[int]:
    """What each replica that Prometheus sees says about leading."""
    query = urlencode({"query": f'ballast_leader{{namespace="{OPERATOR_NAMESPACE}"}}'})
    with urllib.request.urlopen(f"{cluster.prometheus_url}/api/v1/query?{query}", timeout=10) as response:  # noqa: S310 - http only
        found = json.load(response)["data"]["result"]
    return sorted(int(float(series["value"][1])) for series in found)


def _operators(kube: Kube) -> list[JsonObject]:
    return kube.list(
        f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods", labelSelector="app.kubernetes.io/component=operator"
    )


def _refusal(namespace: Namespace, job: TrainingJobManifest) -> str | None:
    try:
        namespace.submit(job)
    except Refused as error:
        return error.message
    return None


@pytest.mark.slow
def test_a_real_failure_is_told_with_its_exit_code(namespace: Namespace) -> None:
    namespace.submit(real_job("digits", "frugal", "train", "--data", "no-such-data"))
    job = namespace.wait_for_phase("digits", "Failed", timeout_seconds=TRAINING_TIMEOUT_SECONDS)
    failed = condition(job, "Failed")
    assert failed is not None
    assert "exited with code 2" in failed["message"]
    assert "no-such-data" in failed["message"]
