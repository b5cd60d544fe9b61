"""helm, on one cluster and with nothing of the user's own: no plugins, repositories or caches of theirs.

Invariant: what helm keeps for itself is in a folder that goes after each command; releases are in the cluster.
"""

from __future__ import annotations

import json
import os
import platform
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.binaries import resolve
from tests.cluster.catalogue import PROGRAMS
from tests.cluster.commands import run
from tests.cluster.paths import CHECKOUT

CHART = CHECKOUT / "charts" / "ballast"
RELEASE = "ballast"
#: Of a namespace with agents: they are privileged. The operator keeps to the restricted level there too.
POD_SECURITY = {"pod-security.kubernetes.io/enforce": "privileged"}
#: Keeps agents off nodes that kwok only pretends to run.
REAL_NODES = {"type": "real"}


def helm(*arguments: str, kubeconfig: Path | None = None, timeout_seconds: float = 180.0) -> str:
    """Runs helm to its end and returns what it printed.

    Args:
        arguments: Its words.
        kubeconfig: The cluster, for commands that need one.
        timeout_seconds: How long it may take.

    Raises:
        BinaryUnavailableError: helm cannot be had.
        CommandError: It failed.
    """
    program = resolve(PROGRAMS["helm"]).path
    with tempfile.TemporaryDirectory(prefix="ballast-helm-") as folder:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("HELM_")}
        environment |= {f"HELM_{each}_HOME": f"{folder}/{each.lower()}" for each in ("CACHE", "CONFIG", "DATA")}
        environment["KUBECACHEDIR"] = f"{folder}/discovery"
        environment["KUBECONFIG"] = str(kubeconfig or f"{folder}/none")
        return run([program, *arguments], env=environment, timeout_seconds=timeout_seconds)


def rendered(*options: str) -> dict[tuple[str, str], dict[str, Any]]:
    """The chart's objects by kind and name, as helm renders them; no cluster is asked."""
    text = helm("template", RELEASE, str(CHART), "-n", "ballast-system", *options)
    objects = [each for each in yaml.safe_load_all(text) if each]
    return {(each["kind"], each["metadata"]["name"]): each for each in objects}


def real_agents(*, simulated_gpus: bool = True, build: str = "", **settings: object) -> tuple[str, ...]:
    """Options of helm for agents on the embedded cluster's real nodes.

    Args:
        simulated_gpus: Whether to mount the simulated NVML, which every node that gets an agent must have then. Without
            it agents find no GPUs.
        build: Tells this build of the agent's image from others of the same name: when it changes, the agents roll.
        settings: Of the agent, as the chart names them.
    """
    values: dict[str, Any] = {
        "nodeSelector": REAL_NODES | ({"nvidia.com/gpu.present": "true"} if simulated_gpus else {}),
        "podAnnotations": {"ballast.dev/image-build": build} if build else {},
        "settings": settings,
    }
    if simulated_gpus:
        values |= _simulated_nvml()
    return ("--set-json", f"agent={json.dumps(values)}")


def readings(
    prometheus_url: str, *, exporter: Mapping[str, object] | None = None, **settings: object
) -> tuple[str, ...]:
    """Options of helm for an operator that reads back what exporters tell.

    Args:
        prometheus_url: `Cluster.prometheus_url`: pods on real nodes reach it, and so does this machine.
        exporter: Values of the chart's `exporter`; its image is in the cluster's nodes already.
        settings: Of `prometheus`, as the chart names them.
    """
    found = ("--set-json", f"prometheus={json.dumps({'url': prometheus_url, **settings})}")
    return (*found, "--set-json", f"exporter={json.dumps(exporter)}") if exporter else found


def _simulated_nvml() -> dict[str, Any]:
    """The library where the linker looks for the driver's, and the state of the node's boards, which it writes.

    `tests/nvmlsim/README.md` tells of both.
    """
    library = f"/usr/lib/{platform.machine()}-linux-gnu/libnvidia-ml.so.1"
    return {
        "extraVolumes": [
            {"name": "nvml", "hostPath": {"path": "/var/lib/nvmlsim/lib/libnvidia-ml.so.1", "type": "File"}},
            {"name": "boards", "hostPath": {"path": "/var/lib/nvmlsim/run", "type": "Directory"}},
        ],
        "extraVolumeMounts": [
            {"name": "nvml", "mountPath": library, "readOnly": True},
            {"name": "boards", "mountPath": "/run/nvmlsim"},
        ],
    }
