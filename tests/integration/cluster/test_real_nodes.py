"""Pods on real nodes are real: Services, DNS, logs, exec and scraping work within a node and between two."""

from __future__ import annotations

import json
import urllib.parse
import urllib.request
from typing import Any

import pytest

from tests.cluster import Cluster
from tests.cluster.api_client import wait_until
from tests.cluster.errors import CommandError
from tests.integration.cluster.shell_image import SHELL_IMAGE

pytestmark = pytest.mark.cluster

_SERVE = "/busybox mkdir /www; echo hello > /www/index.html; exec /busybox httpd -f -v -p 8080 -h /www"


def shell_pod(name: str, node: str, command: str = "exec /busybox sleep 3600", **metadata: Any) -> dict[str, Any]:
    container = {
        "name": "shell",
        "image": SHELL_IMAGE,
        "imagePullPolicy": "Never",
        "command": ["/busybox", "sh", "-c", command],
    }
    spec = {"nodeName": node, "terminationGracePeriodSeconds": 0, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, **metadata}, "spec": spec}


@pytest.fixture(scope="module")
def two_nodes(two_node_cluster: Cluster) -> Cluster:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "web"},
        "spec": {"selector": {"app": "web"}, "ports": [{"port": 80, "targetPort": 8080}]},
    }
    pods = [
        shell_pod("web", "real-1", _SERVE, labels={"app": "web"}),
        shell_pod("near", "real-1"),
        shell_pod("far", "real-2"),
    ]
    items = {"apiVersion": "v1", "kind": "List", "items": [*pods, service]}
    two_node_cluster.kubectl("apply", "-f", "-", stdin=json.dumps(items))
    two_node_cluster.kubectl("wait", "pod", "--all", "--for=condition=Ready", "--timeout=60s")
    return two_node_cluster


def fetch(two_nodes: Cluster, pod: str, url: str) -> str:
    return two_nodes.kubectl("exec", pod, "--", "/busybox", "wget", "-qO-", url)


@pytest.mark.parametrize("pod", ["near", "far"])
def test_a_pod_reaches_a_service_by_its_name(two_nodes: Cluster, pod: str) -> None:
    wait_until(lambda: _answers(two_nodes, pod, "http://web.default.svc.cluster.local/"), "Service", timeout_seconds=30)
    assert fetch(two_nodes, pod, "http://web/") == "hello\n"


def test_a_pod_reaches_the_api_server_by_its_service(two_nodes: Cluster) -> None:
    # busybox speaks no TLS that the API server accepts; that it answers in TLS at all shows the way there.
    with pytest.raises(CommandError, match=r"TLS error from peer|handshake"):
        fetch(two_nodes, "far", "https://kubernetes.default.svc/version")


def test_a_name_outside_the_cluster_does_not_exist(two_nodes: Cluster) -> None:
    with pytest.raises(CommandError, match="bad address"):
        fetch(two_nodes, "near", "http://somewhere.example/")


def test_logs_of_a_pod_can_be_read(two_nodes: Cluster) -> None:
    fetch(two_nodes, "near", "http://web/")
    assert "response:200" in two_nodes.kubectl("logs", "web")


def test_prometheus_scrapes_pods_of_real_nodes(two_nodes: Cluster) -> None:
    def value() -> str:
        query = urllib.parse.quote('up{job="pods",namespace="kube-system"}')
        url = f"{two_nodes.prometheus_url}/api/v1/query?query={query}"
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310 - http only
            result = json.load(answer)["data"]["result"]
        return result[0]["value"][1] if result else "absent"

    wait_until(lambda: value() == "1", "a scrape of cluster DNS", timeout_seconds=60)


def test_a_nodes_kubelet_has_the_identity_of_its_node_only(two_nodes: Cluster) -> None:
    kubeconfig = two_nodes.real_node(1).folder / "etc" / "kubelet.kubeconfig"
    assert "system:node:real-1" in two_nodes.kubectl("auth", "whoami", f"--kubeconfig={kubeconfig}")
    with pytest.raises(CommandError, match="forbidden"):
        two_nodes.kubectl("get", "secrets", "--all-namespaces", f"--kubeconfig={kubeconfig}")


def _answers(two_nodes: Cluster, pod: str, url: str) -> bool:
    try:
        fetch(two_nodes, pod, url)
    except CommandError:
        return False
    return True
