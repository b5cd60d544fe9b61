"""Simulated GPU nodes: what NVIDIA's device plugin and GPU feature discovery would say, on nodes that kwok keeps alive.

Invariant: every simulated node carries the taint that keeps real pods away, and the label by which kwok knows its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

KWOK_LABEL = ("type", "kwok")
KWOK_TAINT = {"key": "kwok.x-k8s.io/node", "value": "fake", "effect": "NoSchedule"}


@dataclass(frozen=True)
class GpuNode:
    """A simulated node.

    Attributes:
        name: The node's name.
        gpu_product: GPU model as GPU feature discovery labels it, such as `NVIDIA-A100-SXM4-80GB`; empty for none.
        gpus: How many GPUs it has.
        cpu: Allocatable CPU, as a quantity.
        memory: Allocatable memory, as a quantity.
        region: `topology.kubernetes.io/region`; none when empty.
        rack: `topology.kubernetes.io/rack`; none when empty.
        labels: Further labels.
    """

    name: str
    gpu_product: str = "NVIDIA-A100-SXM4-80GB"
    gpus: int = 8
    cpu: str = "96"
    memory: str = "1Ti"
    region: str = ""
    rack: str = ""
    labels: Mapping[str, str] = field(default_factory=dict)

    def manifest(self) -> dict[str, Any]:
        """The Node object."""
        labels = {
            KWOK_LABEL[0]: KWOK_LABEL[1],
            "kubernetes.io/hostname": self.name,
            "kubernetes.io/os": "linux",
            "kubernetes.io/arch": "amd64",
        }
        resources = {"cpu": self.cpu, "memory": self.memory, "pods": "110", "ephemeral-storage": "1Ti"}
        if self.gpus:
            labels["nvidia.com/gpu.product"] = self.gpu_product
            labels["nvidia.com/gpu.count"] = str(self.gpus)
            labels["nvidia.com/gpu.present"] = "true"
            resources["nvidia.com/gpu"] = str(self.gpus)
        if self.region:
            labels["topology.kubernetes.io/region"] = self.region
        if self.rack:
            labels["topology.kubernetes.io/rack"] = self.rack
        return {
            "apiVersion": "v1",
            "kind": "Node",
            "metadata": {
                "name": self.name,
                "labels": {**labels, **self.labels},
                "annotations": {"kwok.x-k8s.io/node": "fake"},
            },
            "spec": {"taints": [KWOK_TAINT]},
            "status": {"capacity": resources, "allocatable": resources},
        }


def node_list(nodes: Sequence[GpuNode]) -> dict[str, Any]:
    """One object that holds all the nodes, for `kubectl apply`."""
    return {"apiVersion": "v1", "kind": "List", "items": [node.manifest() for node in nodes]}
