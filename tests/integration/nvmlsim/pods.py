"""Pods that hold GPUs: restricted, without root, and with no code of the simulation but NVML's own interface."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from tests.cluster import Cluster
from tests.cluster.api_client import wait_until
from tests.cluster.node import RealNode
from tests.e2e.kube import JsonObject, Kube
from tests.nvmlsim.load import Container, Containers

IMAGE = "localhost/ballast-operator:dev"
PATIENCE_SECONDS = 60.0

#: Says what NVML tells in the container, and then keeps its CPU busy or sleeps.
PROGRAM = """
import ctypes, json, os, pathlib, sys, time

nvml = ctypes.CDLL("libnvidia-ml.so.1")
assert nvml.nvmlInit_v2() == 0
visible = os.environ["NVIDIA_VISIBLE_DEVICES"].split(",")
board, milliwatts, limit = ctypes.c_void_p(), ctypes.c_uint(), ctypes.c_uint()
assert nvml.nvmlDeviceGetHandleByUUID(visible[0].encode(), ctypes.byref(board)) == 0
print(json.dumps({
    "visible": visible,
    "user": os.geteuid(),
    "power": nvml.nvmlDeviceGetPowerUsage(board, ctypes.byref(milliwatts)),
    "milliwatts": milliwatts.value,
    "limit": nvml.nvmlDeviceGetPowerManagementLimit(board, ctypes.byref(limit)),
    "limit_milliwatts": limit.value,
    "set_limit": nvml.nvmlDeviceSetPowerManagementLimit(board, 150000),
    "state": sorted(os.listdir("/run/nvmlsim")),
    "mounts": [line.split()[4] for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines()
               if "nvml" in line.split()[4] or "nvidia" in line.split()[4]],
    "writable": [path for path in ("/run/nvmlsim", "/run/nvmlsim/state") if os.access(path, os.W_OK)],
}), flush=True)
while sys.argv[1] == "busy":
    pass
time.sleep(3600)
"""


@dataclass
class Pods:
    """The pods of one test.

    Args:
        cluster: the cluster.
        kube: a client that may do everything.
        namespace: a namespace of the test's own.
    """

    cluster: Cluster
    kube: Kube
    namespace: str
    _nodes: dict[str, RealNode] = field(default_factory=dict)

    @property
    def _path(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    def start(self, name: str, node: RealNode, *, gpus: int = 1, busy: bool = False, cpu: str = "100m") -> str:
        """Start a pod on a node, wait until its program runs, and return its UID."""
        self.kube.create(self._path, gpu_pod(name, node.name, gpus=gpus, busy=busy, cpu=cpu))
        self._nodes[name] = node
        wait_until(
            lambda: self._get(name)["status"].get("phase") == "Running" and self.said(name) != "",
            f"a running pod {name}",
            timeout_seconds=PATIENCE_SECONDS,
        )
        uid: str = self._get(name)["metadata"]["uid"]
        return uid

    def said(self, name: str) -> str:
        """Return what a pod's program has said."""
        return self.cluster.kubectl("-n", self.namespace, "logs", name)

    def told(self, name: str) -> dict[str, Any]:
        """Return what a pod's program found out."""
        found: dict[str, Any] = json.loads(self.said(name))
        return found

    def container(self, name: str) -> Container:
        """Return a pod's container as the host sees it."""
        uid = self._get(name)["metadata"]["uid"]
        (found,) = (one for one in Containers(self._nodes[name].cgroup).scan() if one.pod_uid == uid)
        return found

    def delete(self) -> None:
        """Delete the pods and wait until they are gone."""
        self.kube.delete(self._path, gracePeriodSeconds=0)
        wait_until(lambda: not self.kube.list(self._path), "pods that are gone", timeout_seconds=PATIENCE_SECONDS)

    def _get(self, name: str) -> JsonObject:
        return self.kube.get(f"{self._path}/{name}")


def gpu_pod(name: str, node: str, *, gpus: int, busy: bool, cpu: str) -> JsonObject:
    """Return a pod that asks for GPUs of one node."""
    container = {
        "name": "trainer",
        "image": IMAGE,
        "imagePullPolicy": "Never",
        "command": ["python", "-c", PROGRAM, "busy" if busy else "idle"],
        "resources": {"limits": {"cpu": cpu, "memory": "100Mi", "nvidia.com/gpu": str(gpus)}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "nodeSelector": {"kubernetes.io/hostname": node},
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "automountServiceAccountToken": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }
