"""Tokens as pods have them: bound to a pod, and so to the node on which it runs.

The pod runs on a node that is only simulated; its token is as good as one that a kubelet mounts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml

from tests.cluster import Cluster
from tests.cluster.gpu_nodes import KWOK_TAINT
from tests.e2e.kube import Kube


def kubeconfig_with(cluster: Cluster, token: str, file: Path) -> Path:
    """Writes a kubeconfig whose user has this token."""
    content = yaml.safe_load(cluster.kubeconfig.read_text())
    content["users"][0]["user"] = {"token": token}
    file.touch(mode=0o600)
    file.write_text(yaml.safe_dump(content))
    return file


def token(cluster: Cluster, namespace: str, account: str, *, pod: str = "") -> str:
    """A service account's token, bound to a pod if one is named."""
    bound = ("--bound-object-kind=Pod", f"--bound-object-name={pod}") if pod else ()
    return cluster.kubectl("-n", namespace, "create", "token", account, *bound).strip()


@contextmanager
def pod_on(kube: Kube, node: str, namespace: str, account: str) -> Iterator[str]:
    """A pod with a service account on a simulated node; its name."""
    name = f"{account}-on-{node}"
    pods = f"/api/v1/namespaces/{namespace}/pods"
    kube.create(
        pods,
        {
            "metadata": {"name": name},
            "spec": {
                "serviceAccountName": account,
                "nodeName": node,
                "tolerations": [{"key": KWOK_TAINT["key"], "operator": "Exists"}],
                "containers": [{"name": "agent", "image": "example.com/agent:1"}],
            },
        },
    )
    try:
        yield name
    finally:
        kube.delete(f"{pods}/{name}", gracePeriodSeconds=0)
