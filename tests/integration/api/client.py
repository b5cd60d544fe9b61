"""A few requests to the API server as they are, because the tests are about its very words."""

from __future__ import annotations

import http.client
import json
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

from ballast.api.base import API_VERSION
from ballast.api.kinds import Kind
from tests.unit.api.builders import Manifest


@dataclass(frozen=True)
class Answer:
    """What the API server said.

    Attributes:
        status: The HTTP status.
        body: The object, or the Status that tells what is wrong.
    """

    status: int
    body: dict[str, Any]

    @property
    def ok(self) -> bool:
        """Whether the request was granted."""
        return self.status < 300

    @property
    def causes(self) -> list[str]:
        """What is wrong, as `field: message`."""
        causes = self.body.get("details", {}).get("causes", [])
        return [f"{cause.get('field', '')}: {cause['message']}" for cause in causes]


class Api:
    """Requests through a `kubectl proxy`, which knows every way to authenticate.

    Args:
        port: The proxy's port on the loopback address.
    """

    def __init__(self, port: int) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def call(
        self,
        method: str,
        path: str,
        body: Manifest | None = None,
        *,
        accept: str = "application/json",
    ) -> Answer:
        """One request and its answer, whatever it is."""
        headers = {"Content-Type": "application/json", "Accept": accept}
        self._connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = self._connection.getresponse()
        return Answer(response.status, json.loads(response.read()))

    def close(self) -> None:
        """Ends the connection."""
        self._connection.close()


@contextmanager
def proxied(kubectl: Sequence[str]) -> Iterator[Api]:
    """An `Api` on a `kubectl proxy` of its own."""
    command = [*kubectl, "proxy", "--port=0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            said = process.stdout.readline()
            with closing(Api(int(said.rpartition(":")[2]))) as api:
                yield api
        finally:
            process.terminate()


class Objects:
    """The objects of one kind, in one namespace or in none.

    Args:
        api: The API server.
        kind: Which kind.
        namespace: The namespace of the objects of a namespaced kind.
    """

    def __init__(self, api: Api, kind: type[Kind], namespace: str) -> None:
        self._api = api
        inside = f"namespaces/{namespace}/" if kind.resource.scope == "Namespaced" else ""
        self._path = f"/apis/{API_VERSION}/{inside}{kind.resource.plural}"

    def create(self, manifest: Manifest, *, dry_run: bool = False, strict: bool = False) -> Answer:
        """POSTs a manifest; strict refuses unknown fields as kubectl asks for."""
        return self._api.call("POST", self._path + _query(dry_run, strict), manifest)

    def replace(self, manifest: Manifest, *, dry_run: bool = False) -> Answer:
        """PUTs the spec."""
        return self._api.call("PUT", f"{self._path}/{manifest['metadata']['name']}{_query(dry_run)}", manifest)

    def replace_status(self, manifest: Manifest, *, dry_run: bool = False) -> Answer:
        """PUTs the status."""
        return self._api.call("PUT", f"{self._path}/{manifest['metadata']['name']}/status{_query(dry_run)}", manifest)

    def get(self, name: str) -> Answer:
        """GETs one by name."""
        return self._api.call("GET", f"{self._path}/{name}")

    def delete(self, name: str) -> Answer:
        """DELETEs one by name."""
        return self._api.call("DELETE", f"{self._path}/{name}")

    def are_served(self) -> bool:
        """Whether the API server knows the kind yet."""
        return self._api.call("GET", self._path).ok

    def table(self) -> dict[str, Any]:
        """What `kubectl get` is sent."""
        return self._api.call("GET", self._path, accept="application/json;as=Table;v=v1;g=meta.k8s.io").body


def _query(dry_run: bool, strict: bool = False) -> str:
    validation = "Strict" if strict else "Ignore"
    return f"?fieldValidation={validation}" + ("&dryRun=All" if dry_run else "")
