"""A small blocking client of the API server for tests: raw objects, and watches that end in time.

One connection per client and no hidden retries but one: a request that found its kept-alive connection closed is sent
again on a new one if it only reads. A client is for one thread.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import ssl
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

import yaml

JsonObject = dict[str, Any]

REQUEST_TIMEOUT_SECONDS = 60.0
#: The API server closes a connection that was idle for 90 s; a write on it would be lost without an answer.
IDLE_SECONDS = 30.0
PAGE_SIZE = 500


class Refused(Exception):
    """The API server answered with an error status."""

    def __init__(self, status: int, message: str) -> None:
        self.status = status
        self.message = message
        super().__init__(f"{status}: {message}")


class Kube:
    """Requests to one API server, as the user of a kubeconfig.

    Args:
        kubeconfig: a file whose current context holds its certificates or token itself.
        user_agent: the name under which the audit log shows the requests.
    """

    def __init__(self, kubeconfig: Path, user_agent: str = "ballast-tests") -> None:
        content = yaml.safe_load(kubeconfig.read_text())
        cluster, user = content["clusters"][0]["cluster"], content["users"][0]["user"]
        self.server: str = cluster["server"]
        self._context = ssl.create_default_context(
            cadata=base64.b64decode(cluster["certificate-authority-data"]).decode()
        )
        self._headers = {"User-Agent": user_agent, "Accept": "application/json"}
        if "token" in user:
            self._headers["Authorization"] = f"Bearer {user['token']}"
        else:
            _load_client_certificate(self._context, user)
        self._connection: http.client.HTTPSConnection | None = None
        self._last_used = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def get(self, path: str) -> JsonObject:
        """Read one object."""
        return self._call("GET", path)

    def find(self, path: str) -> JsonObject | None:
        """Read one object, or return None if there is none."""
        try:
            return self.get(path)
        except Refused as error:
            if error.status == 404:
                return None
            raise

    def list(self, path: str, **query: str) -> list[JsonObject]:
        """Return all items of a collection."""
        items: list[JsonObject] = []
        token = ""
        while True:
            page = self._call("GET", path, query={**query, "limit": str(PAGE_SIZE), "continue": token})
            items += page["items"]
            token = page["metadata"].get("continue") or ""
            if not token:
                return items

    def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Create an object in the collection at `path`."""
        return self._call("POST", path, body)

    def apply(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Server-side apply an object at its own path."""
        query = {"fieldManager": "ballast-tests", "force": "true"}
        return self._call("PATCH", path, body, query=query, content_type="application/apply-patch+yaml")

    def merge(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Merge-patch an object."""
        return self._call("PATCH", path, body, content_type="application/merge-patch+json")

    def delete(self, path: str, **options: object) -> None:
        """Delete an object or a collection; one that is gone already is fine."""
        with contextlib.suppress(_Gone):
            try:
                self._call("DELETE", path, options or None)
            except Refused as error:
                if error.status == 404:
                    raise _Gone from error
                raise

    def version(self, path: str) -> str:
        """Return the resource version at which a collection stands now."""
        page = self._call("GET", path, query={"limit": "1"})
        version: str = page["metadata"]["resourceVersion"]
        return version

    def watch(self, path: str, since: str, timeout_seconds: float, **query: str) -> Iterator[tuple[str, JsonObject]]:
        """Yield (type, object) of each change of a collection after the version `since`, until the time is over."""
        words = {**query, "watch": "1", "resourceVersion": since, "timeoutSeconds": str(max(1, round(timeout_seconds)))}
        connection = self._connect(timeout_seconds + 5)
        try:
            connection.request("GET", f"{path}?{urlencode(words)}", headers=self._headers)
            response = connection.getresponse()
            if response.status != 200:
                raise _refused(response.status, response.read())
            deadline = time.monotonic() + timeout_seconds
            while time.monotonic() < deadline:
                line = response.readline()
                if not line:
                    return
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise Refused(event["object"].get("code", 0), event["object"].get("message", ""))
                yield event["type"], event["object"]
        finally:
            connection.close()

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content_type: str = "application/json",
    ) -> JsonObject:
        words = urlencode({key: value for key, value in (query or {}).items() if value})
        target = f"{path}?{words}" if words else path
        data = None if body is None else json.dumps(body)
        headers = {**self._headers, "Content-Type": content_type}
        try:
            status, answer = self._exchange(method, target, data, headers)
        except (http.client.HTTPException, OSError):
            if method != "GET":
                raise
            status, answer = self._exchange(method, target, data, headers)
        if status >= 300:
            raise _refused(status, answer)
        parsed: JsonObject = json.loads(answer)
        return parsed

    def _exchange(self, method: str, target: str, data: str | None, headers: dict[str, str]) -> tuple[int, bytes]:
        if time.monotonic() - self._last_used > IDLE_SECONDS:
            self.close()
        if self._connection is None:
            self._connection = self._connect(REQUEST_TIMEOUT_SECONDS)
        try:
            self._connection.request(method, target, data, headers)
            response = self._connection.getresponse()
            answer = response.status, response.read()
        except BaseException:
            self.close()
            raise
        self._last_used = time.monotonic()
        return answer

    def _connect(self, timeout_seconds: float) -> http.client.HTTPSConnection:
        address = urlsplit(self.server)
        return http.client.HTTPSConnection(
            address.hostname or "", address.port, timeout=timeout_seconds, context=self._context
        )


class _Gone(Exception):
    """What is to be deleted is not there."""


def _refused(status: int, answer: bytes) -> Refused:
    try:
        message = json.loads(answer)["message"]
    except (ValueError, KeyError, TypeError):
        message = answer.decode(errors="replace")[:500]
    return Refused(status, message)


def _load_client_certificate(context: ssl.SSLContext, user: Mapping[str, str]) -> None:
    """Load a certificate and key that a kubeconfig holds; ssl reads them from files only."""
    descriptor, name = tempfile.mkstemp()
    try:
        with os.fdopen(descriptor, "wb") as file:
            for part in ("client-certificate-data", "client-key-data"):
                file.write(base64.b64decode(user[part]))
                file.write(b"\n")
        context.load_cert_chain(name)
    finally:
        Path(name).unlink()
