"""What happens behind the API server's back: its store forgets old versions."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from tests.cluster import Cluster
from tests.cluster.state import load


def forget_history(cluster: Cluster) -> None:
    """Compact etcd and restart the API server, so that no watch can go on from a version that it has seen."""
    state = load(cluster.folder)
    assert state is not None
    etcd = f"http://127.0.0.1:{state.ports['etcd']}/v3/kv"
    revision = _post(f"{etcd}/range", {"key": "Lw==", "limit": "1"})["header"]["revision"]
    _post(f"{etcd}/compaction", {"revision": revision, "physical": True})
    cluster.kill_component("kube-apiserver")
    cluster.up(real_nodes=0)


def _post(url: str, body: dict[str, Any]) -> dict[str, Any]:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})  # noqa: S310
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - the loopback address
        answer: dict[str, Any] = json.loads(response.read())
        return answer
