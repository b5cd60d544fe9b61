"""A Secret that all replicas keep: read, made and written by whoever is first, and the others go on from that.

What must hold: nobody writes over what he has not read. A round that finds that somebody was faster is simply repeated.
"""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol, TypeVar

from ballast.kube import ApiRefused

JsonObject = dict[str, Any]
T = TypeVar("T")

CONFLICTS = 3
"""How often in a row another replica may be first."""


class Kube(Protocol):
    """The requests that keeping a Secret takes."""

    async def get(self, path: str) -> JsonObject:
        """Read one object."""
        ...

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        """Create an object in a collection."""
        ...

    async def json_patch(self, path: str, operations: list[JsonObject]) -> JsonObject:
        """Apply a JSON patch."""
        ...


class SharedSecret:
    """One Secret.

    Args:
        kube: the API server.
        namespace: where it is.
        name: its name.
    """

    def __init__(self, kube: Kube, namespace: str, name: str) -> None:
        self._kube = kube
        self._collection = f"/api/v1/namespaces/{namespace}/secrets"
        self._path = f"{self._collection}/{name}"

    async def read(self) -> JsonObject | None:
        """Return it as it is; None if there is none."""
        try:
            return await self._kube.get(self._path)
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise

    async def create(self, secret: Mapping[str, Any]) -> None:
        """Make it; refused (409) if somebody has."""
        await self._kube.create(self._collection, secret)

    async def write(self, seen: JsonObject, files: Mapping[str, bytes]) -> None:
        """Replace all that is in it; refused (422) if it is no longer what was seen."""
        await self._kube.json_patch(
            self._path,
            [
                {"op": "test", "path": "/metadata/resourceVersion", "value": seen["metadata"]["resourceVersion"]},
                {"op": "add", "path": "/data", "value": encoded(files)},
            ],
        )


def encoded(files: Mapping[str, bytes]) -> dict[str, str]:
    """Return files as a Secret's `data` has them."""
    return {name: base64.b64encode(content).decode() for name, content in files.items()}


async def repeated(step: Callable[[], Awaitable[T]]) -> T:
    """Do a step; if another replica was first, do it again from what that one wrote."""
    for _ in range(CONFLICTS):
        try:
            return await step()
        except ApiRefused as error:
            if error.status not in {409, 422}:
                raise
    return await step()
