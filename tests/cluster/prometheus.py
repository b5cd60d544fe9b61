"""Prometheus' configuration: what it scrapes, and how often.

Pods on real nodes are scraped by the usual annotations (`prometheus.io/scrape`, `/port`, `/path`, `/scheme`), and as
often as `prometheus.io/interval` says where a pod has it; simulated pods have addresses that lead nowhere and are left
out. Training pods need nothing of their own here: their exporters are found like everybody else. The chart's recording
rules are evaluated, too. Invariant: a series of a pod always has the labels `namespace`, `pod` and `node`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.paths import CHECKOUT

#: The chart's recording rules.
RULES = CHECKOUT / "charts" / "ballast" / "rules" / "ballast.rules.yaml"
POD_SCRAPE_INTERVAL_SECONDS = 5
CONTROL_PLANE_SCRAPE_INTERVAL_SECONDS = 15

_ANNOTATION = "__meta_kubernetes_pod_annotation_prometheus_io_"


def prometheus_config(ports: Mapping[str, int], *, pki: Path, kubeconfig: Path, rule_files: Sequence[Path] = ()) -> str:
    """Renders Prometheus' configuration file.

    Args:
        ports: Port on the host by component.
        pki: Folder with `admin.crt` and `admin.key`.
        kubeconfig: With which Prometheus finds pods.
        rule_files: Recording rules.
    """
    tls = {
        "cert_file": str(pki / "admin.crt"),
        "key_file": str(pki / "admin.key"),
        "insecure_skip_verify": True,
    }

    def component(name: str, *, secure: bool) -> dict[str, Any]:
        job: dict[str, Any] = {
            "job_name": name,
            "static_configs": [{"targets": [f"127.0.0.1:{ports[name]}"]}],
        }
        if secure:
            job |= {"scheme": "https", "tls_config": tls}
        return job

    pods = {
        "job_name": "pods",
        "scrape_interval": f"{POD_SCRAPE_INTERVAL_SECONDS}s",
        "scrape_timeout": f"{POD_SCRAPE_INTERVAL_SECONDS}s",
        "kubernetes_sd_configs": [
            {"role": "pod", "kubeconfig_file": str(kubeconfig), "attach_metadata": {"node": True}}
        ],
        "relabel_configs": [
            {
                "source_labels": [_ANNOTATION + "scrape"],
                "regex": "true",
                "action": "keep",
            },
            {
                "source_labels": ["__meta_kubernetes_node_label_type"],
                "regex": "kwok",
                "action": "drop",
            },
            {
                "source_labels": ["__meta_kubernetes_pod_phase"],
                "regex": "Pending|Succeeded|Failed|Completed",
                "action": "drop",
            },
            {
                "source_labels": [_ANNOTATION + "scheme"],
                "regex": "(https?)",
                "target_label": "__scheme__",
            },
            {
                "source_labels": [_ANNOTATION + "path"],
                "regex": "(.+)",
                "target_label": "__metrics_path__",
            },
            *(
                {
                    "source_labels": [_ANNOTATION + "interval"],
                    "regex": "(.+)",
                    "target_label": label,
                }
                for label in ("__scrape_interval__", "__scrape_timeout__")
            ),
            # One target a pod: its address and the annotated port, whatever ports its containers declare.
            {
                "source_labels": ["__meta_kubernetes_pod_ip", _ANNOTATION + "port"],
                "regex": r"(.+);(\d+)",
                "replacement": "$1:$2",
                "target_label": "__address__",
            },
            {"source_labels": ["__meta_kubernetes_namespace"], "target_label": "namespace"},
            {"source_labels": ["__meta_kubernetes_pod_name"], "target_label": "pod"},
            {"source_labels": ["__meta_kubernetes_pod_node_name"], "target_label": "node"},
        ],
    }
    config = {
        "global": {
            "scrape_interval": f"{CONTROL_PLANE_SCRAPE_INTERVAL_SECONDS}s",
            "evaluation_interval": f"{POD_SCRAPE_INTERVAL_SECONDS}s",
        },
        "rule_files": [str(file) for file in rule_files],
        "scrape_configs": [
            component("kube-apiserver", secure=True),
            component("kube-controller-manager", secure=True),
            component("kube-scheduler", secure=True),
            component("etcd", secure=False),
            component("kwok-controller", secure=False),
            pods,
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)
