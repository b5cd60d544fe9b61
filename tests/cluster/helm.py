"""helm, on one cluster and with nothing of the user's own: no plugins, repositories or caches of theirs.

Invariant: what helm keeps for itself is in a folder that goes after each command; releases are in the cluster.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import Any

import yaml

from tests.cluster.binaries import resolve
from tests.cluster.catalogue import PROGRAMS
from tests.cluster.commands import run
from tests.cluster.paths import CHECKOUT

CHART = CHECKOUT / "charts" / "ballast"
RELEASE = "ballast"


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
