"""A release comes and goes: an upgrade leaves what the operator wrote, and uninstalling leaves the CRDs alone.

Without replicas, and without a real node that could run the Job by which uninstalling begins: what runs is end-to-end.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.cluster import Cluster
from tests.cluster.helm import CHART, RELEASE, helm
from tests.e2e.kube import Kube
from tests.e2e.operators import Operators, install_api

NAMESPACE = "chart-test"
CONFIGURATION = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/ballast"
AUTHORITY = f"/api/v1/namespaces/{NAMESPACE}/secrets/ballast-agent-ca"
LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/ballast-operator"
COLLECTIONS = (
    f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments",
    f"/apis/apps/v1/namespaces/{NAMESPACE}/daemonsets",
    f"/apis/policy/v1/namespaces/{NAMESPACE}/poddisruptionbudgets",
    f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/roles",
    f"/apis/rbac.authorization.k8s.io/v1/namespaces/{NAMESPACE}/rolebindings",
    f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases",
    f"/api/v1/namespaces/{NAMESPACE}/services",
    f"/api/v1/namespaces/{NAMESPACE}/secrets",
    f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts",
    "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies",
    "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings",
)


class Release:
    """The chart as a release of the test's own; the rights of other tests' operators are lent to it meanwhile."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def upgrade(self, *options: str) -> None:
        helm(
            "upgrade", "--install", RELEASE, str(CHART), "-n", NAMESPACE, "--create-namespace", "--take-ownership",
            "--set", "replicas=0,uninstall.enabled=false", *options, kubeconfig=self._cluster.kubeconfig,
        )  # fmt: skip

    def uninstall(self) -> None:
        helm("uninstall", RELEASE, "-n", NAMESPACE, "--wait", "--ignore-not-found", kubeconfig=self._cluster.kubeconfig)


@pytest.fixture(scope="module")
def release(cluster: Cluster, operators: Operators) -> Iterator[Release]:
    operators.stop()
    release = Release(cluster)
    try:
        yield release
    finally:
        release.uninstall()
        cluster.kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found")
        install_api(cluster)


def _webhook(kube: Kube) -> dict[str, Any]:
    [webhook] = kube.get(CONFIGURATION)["webhooks"]
    found: dict[str, Any] = webhook
    return found


def _ours(kube: Kube) -> list[str]:
    """What there is of Ballast, apart from the CRDs."""
    names = ((path, each["metadata"]["name"]) for path in COLLECTIONS for each in kube.list(path))
    return [f"{path}/{name}" for path, name in names if "ballast" in name]


def test_an_upgrade_leaves_what_the_operator_wrote(release: Release, cluster: Cluster, kube: Kube) -> None:
    release.upgrade()
    # Any certificate authority will do: the cluster's own.
    bundle = yaml.safe_load(cluster.kubeconfig.read_text())["clusters"][0]["cluster"]["certificate-authority-data"]
    webhook = _webhook(kube)
    webhook["clientConfig"]["caBundle"] = bundle
    kube.merge(CONFIGURATION, {"webhooks": [webhook]})
    kube.merge(AUTHORITY, {"data": {"ca.crt": bundle}})
    kube.merge(LEASE, {"spec": {"holderIdentity": "somebody", "leaseDurationSeconds": 15}})

    release.upgrade("--set", "webhook.timeoutSeconds=10")

    webhook = _webhook(kube)
    assert webhook["timeoutSeconds"] == 10
    assert webhook["clientConfig"]["caBundle"] == bundle
    assert kube.get(AUTHORITY)["data"] == {"ca.crt": bundle}
    assert kube.get(LEASE)["spec"]["holderIdentity"] == "somebody"


def test_uninstalling_leaves_the_crds_and_nothing_else(release: Release, kube: Kube) -> None:
    release.upgrade()
    assert any(path.startswith(CONFIGURATION) for path in _ours(kube))
    release.uninstall()
    assert _ours(kube) == []
    crds = kube.list("/apis/apiextensions.k8s.io/v1/customresourcedefinitions")
    assert "trainingjobs.ballast.dev" in {crd["metadata"]["name"] for crd in crds}
