"""A fast client of the API server for load: raw JSON on kept-alive connections, many requests under way at once.

It shares two cores with what it measures, so that it does as little as it can. What must hold: no request is sent
twice, and a watch that the API server closes goes on where it ended, so that no change is missed.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Self

import aiohttp
from kubernetes.aio import config
from kubernetes.aio.client import Configuration

JsonObject = dict[str, Any]

CONNECTIONS = 64
LONGEST_LINE_BYTES = 2**21
REQUEST_TIMEOUT_SECONDS = 60.0
WATCH_SECONDS = 3600


class Api:
    """Requests as the user of a kubeconfig; use it as an async context manager."""

    def __init__(self, server: str, context: ssl.SSLContext, user_agent: str) -> None:
        self._session = aiohttp.ClientSession(
            base_url=server,
            connector=aiohttp.TCPConnector(ssl=context, limit=CONNECTIONS),
            headers={"User-Agent": user_agent, "Accept": "application/json"},
            timeout=aiohttp.ClientTimeout(total=REQUEST_TIMEOUT_SECONDS),
            read_bufsize=LONGEST_LINE_BYTES,
        )

    @classmethod
    async def connect(cls, kubeconfig: Path, user_agent: str = "ballast-bench") -> Self:
        """Return a client for the cluster that a kubeconfig names."""
        configuration = Configuration()
        await config.load_kube_config(str(kubeconfig), client_configuration=configuration)  # type: ignore[no-untyped-call]
        context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
        if configuration.cert_file is not None:
            context.load_cert_chain(configuration.cert_file, configuration.key_file)
        return cls(configuration.host, context, user_agent)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        await self._session.close()

    async def create(self, path: str, body: bytes) -> None:
        """Create an object in a collection.

        Raises:
            RuntimeError: the API server refused.
        """
        await self._send("POST", path, body, "application/json")

    async def merge(self, path: str, body: bytes) -> None:
        """Merge-patch an object.

        Raises:
            RuntimeError: the API server refused.
        """
        await self._send("PATCH", path, body, "application/merge-patch+json")

    async def version(self, path: str) -> str:
        """Return the resource version at which a collection stands now."""
        async with self._session.get(path, params={"limit": "1"}) as response:
            response.raise_for_status()
            version: str = (await response.json())["metadata"]["resourceVersion"]
            return version

    async def watch(self, path: str, since: str) -> AsyncIterator[tuple[str, JsonObject]]:
        """Yield (type, object) of each change of a collection after the version `since`, without end."""
        while True:
            words = {"watch": "1", "resourceVersion": since, "timeoutSeconds": str(WATCH_SECONDS)}
            timeout = aiohttp.ClientTimeout(total=None)
            async with self._session.get(path, params=words, timeout=timeout) as response:
                response.raise_for_status()
                async for line in response.content:
                    event = json.loads(line)
                    if event["type"] == "ERROR":
                        raise RuntimeError(f"the watch of {path} broke: {event['object'].get('message', '')}")
                    since = event["object"]["metadata"]["resourceVersion"]
                    yield event["type"], event["object"]

    async def _send(self, method: str, path: str, body: bytes, content_type: str) -> None:
        headers = {"Content-Type": content_type}
        async with self._session.request(method, path, data=body, headers=headers) as response:
            answer = await response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {answer.decode(errors='replace')[:500]}")
