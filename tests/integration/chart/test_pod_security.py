"""What Pod Security says of the chart's pods: only the agent needs a namespace that allows everything."""

from __future__ import annotations

import json

import pytest

from tests.cluster import Cluster
from tests.cluster.errors import CommandError
from tests.cluster.helm import POD_SECURITY, rendered
from tests.e2e.namespace import Namespace

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def _try(cluster: Cluster, namespace: Namespace, kind: str, name: str, labels: dict[str, str]) -> None:
    """Create a pod as the chart has it, without keeping it, in a namespace with labels."""
    namespace.kube.merge(f"/api/v1/namespaces/{namespace.name}", {"metadata": {"labels": labels}})
    spec = {**rendered()[kind, name]["spec"]["template"]["spec"], "serviceAccountName": "default"}
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": spec}
    cluster.kubectl("-n", namespace.name, "create", "--dry-run=server", "-f", "-", stdin=json.dumps(pod))


@pytest.mark.parametrize(("kind", "name"), [("Deployment", "ballast-operator"), ("Job", "ballast-uninstall")])
def test_the_restricted_level_lets_them_in(cluster: Cluster, namespace: Namespace, kind: str, name: str) -> None:
    _try(cluster, namespace, kind, name, RESTRICTED)


def test_the_agent_is_let_in_by_the_labels_that_its_namespace_gets_and_by_less_not(
    cluster: Cluster, namespace: Namespace
) -> None:
    _try(cluster, namespace, "DaemonSet", "ballast-agent", POD_SECURITY)
    with pytest.raises(CommandError, match="violates PodSecurity"):
        _try(cluster, namespace, "DaemonSet", "ballast-agent", {"pod-security.kubernetes.io/enforce": "baseline"})
