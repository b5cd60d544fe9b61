"""CoreDNS as a Deployment on the real nodes, behind the Service address that pods ask.

Invariant: names outside the cluster do not exist (NXDOMAIN at once): pods here have no way out, and a resolver that
waited for one would make every failed look-up slow.
"""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.cluster.api_client import ApiClient
from tests.cluster.control_plane import DNS_SERVICE_IP
from tests.cluster.node import CLUSTER_DOMAIN
from tests.cluster.system_images import COREDNS_IMAGE

NAMESPACE = "kube-system"
SERVICE = "kube-dns"
READY_PORT = 8181

# Two server blocks, because the template would come before the cluster's own names within one.
COREFILE = f"""\
{CLUSTER_DOMAIN}:53 in-addr.arpa:53 ip6.arpa:53 {{
    errors
    health {{
        lameduck 1s
    }}
    ready
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        pods insecure
        ttl 5
    }}
    prometheus :9153
}}
.:53 {{
    errors
    template ANY ANY . {{
        rcode NXDOMAIN
    }}
}}
"""


def answers(api: ApiClient) -> bool:
    """Tells whether one of the pods behind the Service says that it is ready.

    It is asked itself: after a crash of its node the API server still believes for a while what it last heard.
    """
    for address in api.endpoints(NAMESPACE, SERVICE):
        try:
            with urllib.request.urlopen(f"http://{address}:{READY_PORT}/ready", timeout=1) as answer:
                return bool(answer.status == 200)
        except OSError:
            continue
    return False


def manifests() -> str:
    """The objects of cluster DNS, as one JSON list."""
    labels = {"k8s-app": "kube-dns"}
    scraped = {"prometheus.io/scrape": "true", "prometheus.io/port": "9153"}
    container: dict[str, Any] = {
        "name": "coredns",
        "image": COREDNS_IMAGE,
        "imagePullPolicy": "Never",
        "args": ["-conf", "/etc/coredns/Corefile"],
        "ports": [
            {"name": "dns", "containerPort": 53, "protocol": "UDP"},
            {"name": "dns-tcp", "containerPort": 53, "protocol": "TCP"},
            {"name": "metrics", "containerPort": 9153, "protocol": "TCP"},
        ],
        "readinessProbe": {
            "httpGet": {"path": "/ready", "port": READY_PORT},
            "periodSeconds": 1,
            "failureThreshold": 5,
        },
        "livenessProbe": {
            "httpGet": {"path": "/health", "port": 8080},
            "initialDelaySeconds": 30,
            "failureThreshold": 5,
        },
        "resources": {"requests": {"cpu": "20m", "memory": "30Mi"}, "limits": {"memory": "200Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "capabilities": {"add": ["NET_BIND_SERVICE"], "drop": ["ALL"]},
            "readOnlyRootFilesystem": True,
        },
        "volumeMounts": [{"name": "config", "mountPath": "/etc/coredns", "readOnly": True}],
    }
    pod: dict[str, Any] = {
        "serviceAccountName": "coredns",
        "priorityClassName": "system-cluster-critical",
        "nodeSelector": {"type": "real"},
        "dnsPolicy": "Default",
        "containers": [container],
        "volumes": [{"name": "config", "configMap": {"name": "coredns"}}],
    }
    rules = [
        {"apiGroups": [""], "resources": ["endpoints", "services", "pods", "namespaces"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    items: list[dict[str, Any]] = [
        _object("v1", "ServiceAccount", "coredns"),
        _object(f"{rbac}/v1", "ClusterRole", "system:coredns", namespaced=False, rules=rules),
        _object(
            f"{rbac}/v1",
            "ClusterRoleBinding",
            "system:coredns",
            namespaced=False,
            roleRef={"apiGroup": rbac, "kind": "ClusterRole", "name": "system:coredns"},
            subjects=[{"kind": "ServiceAccount", "name": "coredns", "namespace": NAMESPACE}],
        ),
        _object("v1", "ConfigMap", "coredns", data={"Corefile": COREFILE}),
        _object(
            "apps/v1",
            "Deployment",
            "coredns",
            spec={
                "replicas": 1,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels, "annotations": scraped}, "spec": pod},
            },
        ),
        _object(
            "v1",
            "Service",
            SERVICE,
            spec={
                "selector": labels,
                "clusterIP": DNS_SERVICE_IP,
                "ports": [
                    {"name": "dns", "port": 53, "targetPort": 53, "protocol": "UDP"},
                    {"name": "dns-tcp", "port": 53, "targetPort": 53, "protocol": "TCP"},
                ],
            },
        ),
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})


def _object(api_version: str, kind: str, name: str, *, namespaced: bool = True, **fields: Any) -> dict[str, Any]:
    metadata = {"name": name, **({"namespace": NAMESPACE} if namespaced else {})}
    return {"apiVersion": api_version, "kind": kind, "metadata": metadata, **fields}
