"""The agents of a test session: the chart's DaemonSet on the real nodes with simulated GPUs, and their ends.

The operator runs outside, as the test wants it. Between tests the agents stay, because starting them is slow; a test
that ends one, or wants other settings, leaves agents behind that are ready again. Invariant: only processes of these
pods are ended.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.cluster import Cluster
from tests.cluster.helm import CHART, RELEASE, helm, real_agents
from tests.e2e.kube import JsonObject, Kube
from tests.e2e.operators import OPERATOR_NAMESPACE

DAEMON_SET = "ballast-agent"
PODS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods"
DAEMON_SETS = f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/daemonsets"
SELECTOR = "app.kubernetes.io/component=agent"
NODE_POWERS = "/apis/ballast.dev/v1alpha1/nodepowers"
TIMEOUT_SECONDS = 60.0

#: Quick enough for tests: who else changed a limit is found within a second, a silent operator after a few.
SETTINGS: dict[str, Any] = {"driftSeconds": 1, "statusSeconds": 0.2, "operatorStaleSeconds": 15}


class Agents:
    """Installs, ends and asks agents.

    Args:
        cluster: with real GPU nodes that have the agent's image.
        kube: a client that may do everything.
    """

    def __init__(self, cluster: Cluster, kube: Kube) -> None:
        self._cluster = cluster
        self._kube = kube

    def run(self, **settings: Any) -> None:
        """See to it that agents with these settings, beside `SETTINGS`, run on all GPU nodes, and are ready."""
        wanted = {**SETTINGS, **settings}
        label = "-".join(str(value) for value in wanted.values())
        if label != self._installed():
            manifests = helm(
                "template", RELEASE, str(CHART), "-n", OPERATOR_NAMESPACE, *real_agents(build=label, **wanted),
                "--show-only=templates/agent/daemonset.yaml", "--show-only=templates/agent/secret.yaml",
            )  # fmt: skip
            self._cluster.kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=manifests)
        self._cluster.kubectl("-n", OPERATOR_NAMESPACE, "rollout", "status", f"daemonset/{DAEMON_SET}", "--timeout=90s")

    def remove(self) -> None:
        """Delete the DaemonSet, as an uninstallation does, and wait until the last pod is gone."""
        self._cluster.kubectl(
            "-n", OPERATOR_NAMESPACE, "delete", "daemonset", DAEMON_SET, "--ignore-not-found", "--wait=true"
        )
        wait = ("wait", "--for=delete", "pods", "-l", SELECTOR, "--timeout=60s")
        self._cluster.kubectl("-n", OPERATOR_NAMESPACE, *wait)

    def _installed(self) -> str | None:
        """Return with which settings agents are installed; None if they are not, or not for GPU nodes."""
        sets = self._kube.list(DAEMON_SETS, fieldSelector=f"metadata.name={DAEMON_SET}")
        templates = [each["spec"]["template"] for each in sets]
        found = [each for each in templates if "nvidia.com/gpu.present" in each["spec"].get("nodeSelector", {})]
        return found[0]["metadata"]["annotations"].get("ballast.dev/image-build") if found else None

    def pod(self, node: str) -> JsonObject:
        """Return the agent's pod on a node."""
        [pod] = self._kube.list(PODS, labelSelector=SELECTOR, fieldSelector=f"spec.nodeName={node}")
        return pod

    def process(self, node: str) -> int:
        """Return the host's number of the agent's process on a node."""
        # Nodes of other clusters may have the same name; an agent is on the network of its own.
        real_node = self._cluster.gpu_node(node)
        for folder in Path("/proc").iterdir():
            if not folder.name.isdigit():
                continue
            try:
                command = (folder / "cmdline").read_bytes().split(b"\0")
                if b"ballast" in command and b"agent" in command and real_node.is_on_its_network(int(folder.name)):
                    return int(folder.name)
            except OSError:
                continue
        raise AssertionError(f"no agent runs on {node}")

    def kill(self, node: str) -> None:
        """End an agent as a crash would; the kubelet starts it again."""
        os.kill(self.process(node), signal.SIGKILL)

    def stop(self, node: str) -> None:
        """End an agent with SIGTERM, as a rollout does; another pod follows."""
        self._kube.delete(f"{PODS}/{self.pod(node)['metadata']['name']}")

    def log(self, node: str) -> str:
        """Return the end of an agent's log."""
        name = self.pod(node)["metadata"]["name"]
        return self._cluster.kubectl("-n", OPERATOR_NAMESPACE, "logs", name, "--tail=40")

    def power(self, node: str) -> JsonObject:
        """Return a node's NodePower."""
        return self._kube.get(f"{NODE_POWERS}/{node}")

    def wait_for_power(self, node: str, holds: Callable[[JsonObject], bool], what: str) -> JsonObject:
        """Wait until something holds of a node's NodePower."""
        deadline = time.monotonic() + TIMEOUT_SECONDS
        while time.monotonic() < deadline:
            power = self.power(node)
            if holds(power):
                return power
            time.sleep(0.2)
        raise AssertionError(f"not within {TIMEOUT_SECONDS:.0f} s: {what}\n{self.power(node)}\n{self.log(node)}")


def node_condition(power: JsonObject, kind: str) -> JsonObject | None:
    """Return a condition of a NodePower."""
    found = (each for each in power.get("status", {}).get("conditions", ()) if each["type"] == kind)
    return next(found, None)
