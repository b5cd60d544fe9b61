"""GPUs reach pods as NVIDIA's device plugin and container toolkit would hand them over."""

from __future__ import annotations

from tests.cluster.node import RealNode
from tests.e2e.kube import Kube
from tests.integration.nvmlsim.conftest import allocatable
from tests.integration.nvmlsim.pods import Pods
from tests.nvmlsim.layout import CONTAINER_LIBRARY

NVML_NO_PERMISSION = 4
UNPRIVILEGED_USER = 65532


def test_a_node_has_its_gpus_and_what_feature_discovery_says_of_them(kube: Kube, a40: RealNode) -> None:
    node = kube.get(f"/api/v1/nodes/{a40.name}")
    assert allocatable(kube, a40) == len(a40.gpus.uuids) == 4
    labels = node["metadata"]["labels"]
    assert labels["nvidia.com/gpu.product"] == "NVIDIA-A40"
    assert labels["nvidia.com/gpu.count"] == "4"
    assert {"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"} in node["spec"]["taints"]


def test_the_plain_node_has_none(kube: Kube, a40: RealNode) -> None:
    node = kube.get("/api/v1/nodes/real-1")
    assert "nvidia.com/gpu" not in node["status"]["capacity"]
    assert "nvidia.com/gpu.product" not in node["metadata"]["labels"]


def test_a_restricted_pod_reads_its_gpu_and_cannot_change_it(pods: Pods, v100: RealNode) -> None:
    pods.start("reader", v100)
    told = pods.told("reader")
    assert told["user"] == UNPRIVILEGED_USER
    assert len(told["visible"]) == 1
    (uuid,) = told["visible"]
    gpu = v100.gpus.gpu(uuid)
    assert (told["power"], told["limit"]) == (0, 0)
    assert told["milliwatts"] / 1000 >= gpu.model.idle_watts
    assert told["limit_milliwatts"] / 1000 == gpu.power_limit_watts
    assert told["set_limit"] == NVML_NO_PERMISSION
    assert v100.gpus.gpu(uuid).power_limit_watts == gpu.default_power_limit_watts


def test_a_pod_sees_the_library_and_the_boards_and_nothing_else(pods: Pods, v100: RealNode) -> None:
    pods.start("looker", v100)
    told = pods.told("looker")
    assert sorted(told["mounts"]) == ["/run/nvmlsim", str(CONTAINER_LIBRARY)]
    assert told["state"] == ["state"]  # and not the truth
    assert told["writable"] == []
