"""Two nodes of which only their objects exist, pods on them, their tokens, and clients with given tokens.

No kubelet touches these pods, so that a test alone says when one is deleted and whether it is gone.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ballast.kube import KubeClient
from tests.cluster import Cluster
from tests.e2e.kube import Kube
from tests.integration.agent_serving import rights

JsonObject = dict[str, Any]

NAMESPACE = "agent-serving"
NODE, OTHER_NODE = "agent-node-a", "agent-node-b"
ADDRESS = "127.0.0.1"
"""Of `NODE`: where a test can listen."""
API_AUDIENCE = "https://kubernetes.default.svc.cluster.local"
CLOSING_SECONDS = 0.25
"""For the loop to take leave of TLS connections that were open."""

_numbers = count(1)


class Site:
    """What tests need of the cluster.

    Args:
        cluster: the cluster.
        kube: a client with all rights.
        folder: for kubeconfigs.
    """

    def __init__(self, cluster: Cluster, kube: Kube, folder: Path) -> None:
        self._cluster = cluster
        self._folder = folder
        self.kube = kube
        self.pods = f"/api/v1/namespaces/{NAMESPACE}/pods"

    def install(self) -> None:
        """Make the namespace, the service accounts with their rights, and the nodes."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
        nodes = [{"apiVersion": "v1", "kind": "Node", "metadata": {"name": name}} for name in (NODE, OTHER_NODE)]
        for made in (namespace, *nodes, *rights.objects(NAMESPACE)):
            self._cluster.kubectl("apply", "--server-side", "-f", "-", stdin=json.dumps(made))
        address = {"status": {"addresses": [{"type": "InternalIP", "address": ADDRESS}]}}
        self.kube.merge(f"/api/v1/nodes/{NODE}/status", address)
        while self.kube.find(f"/api/v1/namespaces/{NAMESPACE}/serviceaccounts/default") is None:
            time.sleep(0.05)

    def remove(self) -> None:
        """Remove them."""
        for name in (NODE, OTHER_NODE):
            self.kube.delete(f"/api/v1/nodes/{name}")
        for account in rights.EVERYWHERE:
            for plural in ("clusterrolebindings", "clusterroles"):
                self.kube.delete(f"/apis/rbac.authorization.k8s.io/v1/{plural}/{NAMESPACE}-{account}")
        for pod in self.kube.list(self.pods):
            self.delete_pod(pod["metadata"]["name"])
        self.kube.delete(f"/api/v1/namespaces/{NAMESPACE}")

    def pod(self, name: str, node: str = NODE, account: str = "default", finalizers: tuple[str, ...] = ()) -> str:
        """Make a pod on a node; return its UID."""
        made = self.kube.create(
            self.pods,
            {
                "metadata": {"name": name, "finalizers": list(finalizers)},
                "spec": {
                    "nodeName": node,
                    "serviceAccountName": account,
                    "automountServiceAccountToken": False,
                    "containers": [{"name": "trainer", "image": "x"}],
                },
            },
        )
        uid: str = made["metadata"]["uid"]
        return uid

    def delete_pod(self, name: str) -> None:
        """Delete a pod at once; there is no kubelet to wait for."""
        if self.kube.find(f"{self.pods}/{name}") is not None:
            self.kube.merge(f"{self.pods}/{name}", {"metadata": {"finalizers": None}})
            self.kube.delete(f"{self.pods}/{name}", gracePeriodSeconds=0)

    def token(self, pod: str, audience: str = "ballast-agent", account: str = "default") -> str:
        """Return a token that is bound to a pod, as its kubelet would ask for one."""
        return self._cluster.kubectl(
            "-n", NAMESPACE, "create", "token", account, f"--audience={audience}", "--duration=1h",
            "--bound-object-kind=Pod", f"--bound-object-name={pod}",
        ).strip()  # fmt: skip

    def unbound_token(self) -> str:
        """Return a token of a service account that is bound to nothing."""
        return self._cluster.kubectl("-n", NAMESPACE, "create", "token", "default", "--audience=ballast-agent").strip()

    def with_claims(self, token: str, **claims: Any) -> str:
        """Return a token signed by the cluster that says other things; the API server issues no expired ones."""
        header, content, _ = token.split(".")
        changed = {**json.loads(_decoded(content)), **claims}
        signed = f"{header}.{_encoded(json.dumps(changed).encode())}"
        [key_file] = self._cluster.folder.glob("kwok/clusters/*/pki/admin.key")
        key = serialization.load_pem_private_key(key_file.read_bytes(), None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return f"{signed}.{_encoded(key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"

    @contextlib.asynccontextmanager
    async def client(self, monkeypatch: pytest.MonkeyPatch, token: str) -> AsyncIterator[KubeClient]:
        """A client with the rights of a token."""
        content = yaml.safe_load(self._cluster.kubeconfig.read_text())
        content["users"][0]["user"] = {"token": token}
        file = self._folder / f"{next(_numbers)}.kubeconfig"
        file.touch(mode=0o600)
        file.write_text(yaml.safe_dump(content))
        monkeypatch.setenv("KUBECONFIG", str(file))
        async with await KubeClient.connect() as client:
            yield client
        await asyncio.sleep(CLOSING_SECONDS)

    @contextlib.asynccontextmanager
    async def agent(self, monkeypatch: pytest.MonkeyPatch, node: str = NODE) -> AsyncIterator[KubeClient]:
        """A client with the rights of a node's agent."""
        name = f"ballast-agent-{node}"
        if self.kube.find(f"{self.pods}/{name}") is None:
            self.pod(name, node, "ballast-agent")
        async with self.client(monkeypatch, self.token(name, API_AUDIENCE, "ballast-agent")) as client:
            yield client

    @contextlib.asynccontextmanager
    async def operator(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
        """A client with the operator's rights."""
        token = self._cluster.kubectl("-n", NAMESPACE, "create", "token", "ballast-operator").strip()
        async with self.client(monkeypatch, token) as client:
            yield client


def _decoded(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()
