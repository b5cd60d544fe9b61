"""The operator as the manifests install it: in the cluster, from its image, with its own service account."""

from __future__ import annotations

import pytest

from tests.cluster import Cluster
from tests.e2e.audit import AuditLog
from tests.e2e.kube import Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, condition
from tests.e2e.operators import OPERATOR_NAME, OPERATOR_NAMESPACE
from tests.e2e.real import TRAINING_TIMEOUT_SECONDS, real_job

pytestmark = pytest.mark.usefixtures("deployed_operator")


def test_it_is_ready_under_restricted_pod_security(kube: Kube) -> None:
    namespace = kube.get(f"/api/v1/namespaces/{OPERATOR_NAMESPACE}")
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    [pod] = kube.list(
        f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods", labelSelector="app.kubernetes.io/component=operator"
    )
    conditions = {found["type"]: found["status"] for found in pod["status"]["conditions"]}
    assert conditions["Ready"] == "True"
    assert pod["spec"]["serviceAccountName"] == OPERATOR_NAME


def test_it_operates_and_nothing_is_forbidden(namespace: Namespace, cluster: Cluster, audit: AuditLog) -> None:
    position = audit.position()
    namespace.submit(training_job("gang").pods(2).gpus(4).torchrun().on_node("v100-0"))
    namespace.wait_for_phase("gang", "Succeeded")
    namespace.wait_for_event("gang", "Succeeded")

    asked = [request for request in audit.since(position) if request.by_operator]
    assert asked
    assert [f"{r.verb} {r.resource}: {r.message}" for r in asked if r.code in {401, 403}] == []
    log = cluster.kubectl("-n", OPERATOR_NAMESPACE, "logs", f"deployment/{OPERATOR_NAME}")
    assert '"ready"' in log
    assert "Traceback" not in log


@pytest.mark.slow
def test_a_real_failure_is_told_with_its_exit_code(namespace: Namespace) -> None:
    namespace.submit(real_job("digits", "frugal", "train", "--data", "no-such-data"))
    job = namespace.wait_for_phase("digits", "Failed", timeout_seconds=TRAINING_TIMEOUT_SECONDS)
    failed = condition(job, "Failed")
    assert failed is not None
    assert "exited with code 2" in failed["message"]
    assert "no-such-data" in failed["message"]
