"""A few plain requests to the cluster's API server, with the admin's certificate.

Only for asking whether things are ready: a kubectl process for each question would cost half a second. Everything else
goes through kubectl. Invariant: one answer or one `NotReadyError`; no retries hide in here.
"""

from __future__ import annotations

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster.errors import NotReadyError


class ApiClient:
    """Asks the API server on the loopback address.

    Args:
        port: The API server's port.
        pki: Folder with `ca.crt`, `admin.crt` and `admin.key`.
    """

    def __init__(self, port: int, pki: Path) -> None:
        self._base = f"https://127.0.0.1:{port}"
        self._pki = pki

    def get_text(self, path: str, *, timeout_seconds: float = 5.0) -> str:
        """The body of a GET.

        Raises:
            NotReadyError: There is no API server, or it does not answer with success.
        """
        try:
            context = ssl.create_default_context(cafile=str(self._pki / "ca.crt"))
            context.load_cert_chain(self._pki / "admin.crt", self._pki / "admin.key")
            request = urllib.request.Request(self._base + path)  # noqa: S310 - https only
            with urllib.request.urlopen(request, timeout=timeout_seconds, context=context) as response:  # noqa: S310
                body: bytes = response.read()
        except (OSError, ssl.SSLError) as error:
            raise NotReadyError(f"the API server at {self._base} does not answer {path}: {error}") from error
        return body.decode()

    def get(self, path: str) -> dict[str, Any]:
        """The object that a GET returns.

        Raises:
            NotReadyError: As `get_text`.
        """
        answer: dict[str, Any] = json.loads(self.get_text(path))
        return answer

    def is_ready(self) -> bool:
        """Tells whether the API server says that it is ready."""
        try:
            return self.get_text("/readyz") == "ok"
        except NotReadyError:
            return False

    def ready_nodes(self, *, since: float = 0.0) -> set[str]:
        """The names of the nodes whose Ready condition is true.

        Args:
            since: Counts only what was reported at or after this moment, in seconds since the epoch.
        """
        return {
            node["metadata"]["name"]
            for node in self.get("/api/v1/nodes")["items"]
            if any(
                condition["type"] == "Ready"
                and condition["status"] == "True"
                and _seconds(condition["lastHeartbeatTime"]) >= since
                for condition in node.get("status", {}).get("conditions", [])
            )
        }

    def allocatable(self, node: str, resource: str) -> int:
        """How much of an extended resource a node says that pods can have."""
        return int(self.get(f"/api/v1/nodes/{node}")["status"].get("allocatable", {}).get(resource, 0))

    def endpoints(self, namespace: str, service: str) -> list[str]:
        """The addresses of a Service's ready pods."""
        slices = self.get(f"/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices")["items"]
        return [
            address
            for one in slices
            if one["metadata"].get("labels", {}).get("kubernetes.io/service-name") == service
            for endpoint in one.get("endpoints") or []
            if endpoint.get("conditions", {}).get("ready")
            for address in endpoint["addresses"]
        ]


def _seconds(timestamp: str | None) -> float:
    return datetime.fromisoformat(timestamp).timestamp() if timestamp else 0.0


def wait_until(
    holds: Callable[[], bool], what: str, *, timeout_seconds: float, interval_seconds: float = 0.2, remedy: str = ""
) -> None:
    """Waits until something holds.

    Raises:
        NotReadyError: It did not within the time.
    """
    deadline = time.monotonic() + timeout_seconds
    while not holds():
        if time.monotonic() > deadline:
            raise NotReadyError(f"{what} did not come about within {timeout_seconds:.0f} s", remedy=remedy)
        time.sleep(interval_seconds)
