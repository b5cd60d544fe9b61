"""What is handed to kwokctl, Prometheus, containerd and the kubelet says what it must."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import yaml

from tests.cluster import dns
from tests.cluster.control_plane import ControlPlane
from tests.cluster.gpu_nodes import GpuNode, node_list
from tests.cluster.network import Network
from tests.cluster.node import RealNode
from tests.cluster.prometheus import prometheus_config
from tests.unit.cluster.builders import a_state


def kwokctl_documents(host_address: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(ControlPlane(Path("/state"), a_state(), host_address).render_config()))


def arguments(document: dict[str, Any], component: str) -> dict[str, str]:
    patches = {patch["name"]: patch["extraArgs"] for patch in document["componentsPatches"]}
    return {argument["key"]: argument["value"] for argument in patches[component]}


def test_the_api_server_can_be_reached_from_nodes_and_reaches_them() -> None:
    configuration = kwokctl_documents("10.201.3.1")[0]
    api_server = arguments(configuration, "kube-apiserver")
    assert api_server["advertise-address"] == "10.201.3.1"
    assert api_server["kubelet-preferred-address-types"] == "InternalIP"
    assert configuration["options"]["kubeApiserverCertSANs"] == ["10.96.0.1", "10.201.3.1"]


def test_only_what_authenticates_listens_beyond_the_machine() -> None:
    configuration = kwokctl_documents("10.201.3.1")[0]
    assert configuration["options"]["bindAddress"] == "127.0.0.1"
    assert arguments(configuration, "kube-apiserver")["bind-address"] == "0.0.0.0"  # noqa: S104
    assert arguments(configuration, "prometheus")["web.listen-address"].startswith("10.201.3.1:")


def test_without_real_nodes_nothing_listens_beyond_the_machine() -> None:
    configuration = kwokctl_documents("127.0.0.1")[0]
    assert arguments(configuration, "kube-apiserver")["bind-address"] == "127.0.0.1"
    assert "advertise-address" not in arguments(configuration, "kube-apiserver")


def test_kwok_manages_its_own_nodes_only() -> None:
    kwok = arguments(kwokctl_documents("127.0.0.1")[0], "kwok-controller")
    assert kwok["manage-all-nodes"] == "false"
    assert kwok["manage-nodes-with-label-selector"] == "type=kwok"


def test_every_stage_is_there() -> None:
    stages = {document["metadata"]["name"] for document in kwokctl_documents("127.0.0.1")[1:]}
    assert stages == {
        "node-initialize",
        "node-heartbeat-with-lease",
        "pod-cannot-start",
        "pod-ready",
        "pod-complete",
        "pod-terminate",
        "pod-delete",
    }


def test_prometheus_scrapes_annotated_pods_but_simulated_ones() -> None:
    config = yaml.safe_load(prometheus_config(a_state().ports, pki=Path("/pki"), kubeconfig=Path("/kubeconfig")))
    pods = next(job for job in config["scrape_configs"] if job["job_name"] == "pods")
    rules = {tuple(rule["source_labels"]): rule for rule in pods["relabel_configs"]}
    assert rules[("__meta_kubernetes_node_label_type",)]["action"] == "drop"
    assert rules[("__meta_kubernetes_node_label_type",)]["regex"] == "kwok"
    assert {rule.get("target_label") for rule in rules.values()} >= {"namespace", "pod", "node"}


def a_node() -> RealNode:
    return RealNode(Path("/state"), a_state(), Network("unit", 3), 2)


def test_containerd_writes_nowhere_outside_the_node() -> None:
    config = tomllib.loads(a_node().render_containerd(Path("/cni-bin"), Path("/cni")))
    assert config["root"] == "/var/lib/containerd"
    assert config["plugins"]["io.containerd.internal.v1.opt"]["path"].startswith("/var/lib/")
    assert config["plugins"]["io.containerd.cri.v1.runtime"]["restrict_oom_score_adj"] is True


def test_a_kubelet_has_its_own_control_group_and_never_removes_images() -> None:
    config = yaml.safe_load(a_node().render_kubelet(Path("/pki/ca.crt")))
    assert config["cgroupRoot"] == "/unit-real-2"
    assert config["imageGCHighThresholdPercent"] == 100
    assert set(config["evictionHard"]) == {"memory.available"}
    assert config["clusterDNS"] == ["10.96.0.10"]


def test_pods_get_addresses_of_their_nodes_range() -> None:
    plugins = json.loads(a_node().render_cni())["plugins"]
    assert plugins[0]["ipam"]["ranges"] == [[{"subnet": Network("unit", 3).pod_range(2)}]]
    assert plugins[0]["ipMasq"] is False


def test_simulated_nodes_are_marked_and_tainted() -> None:
    nodes = node_list([GpuNode("a", "NVIDIA-A40", 4, rack="r1"), GpuNode("b", gpus=0)])["items"]
    for node in nodes:
        assert node["metadata"]["labels"]["type"] == "kwok"
        assert node["metadata"]["annotations"]["kwok.x-k8s.io/node"] == "fake"
        assert node["spec"]["taints"] == [{"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}]
    gpu, plain = nodes
    assert gpu["status"]["allocatable"]["nvidia.com/gpu"] == gpu["metadata"]["labels"]["nvidia.com/gpu.count"] == "4"
    assert gpu["metadata"]["labels"]["topology.kubernetes.io/rack"] == "r1"
    assert "nvidia.com/gpu" not in plain["status"]["allocatable"]


def test_cluster_dns_stands_at_the_address_that_pods_ask() -> None:
    objects = {one["kind"]: one for one in json.loads(dns.manifests())["items"]}
    config = yaml.safe_load(a_node().render_kubelet(Path("/pki/ca.crt")))
    assert [objects["Service"]["spec"]["clusterIP"]] == config["clusterDNS"]
    assert objects["Deployment"]["spec"]["template"]["spec"]["nodeSelector"] == {"type": "real"}
