"""Stands for the API server's Leases: conditional writes, and the troubles that a test asks for."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Mapping
from typing import Any

from ballast.kube import ApiRefused, ApiUnavailable, JsonObject
from ballast.leadership import Leadership

LEASE_SECONDS = 15


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


class LeaseServer:
    """One Lease, or none yet."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.lease: JsonObject | None = None
        self.down = False
        self.lose_answers = False
        self.slow_seconds = 0.0
        self.writes = 0
        self._version = 100

    @property
    def holder(self) -> str | None:
        """Who holds it."""
        found: str | None = self.lease["spec"].get("holderIdentity") if self.lease else None
        return found

    def candidate(self, identity: str, lease_seconds: int = LEASE_SECONDS) -> Leadership:
        """Return a replica."""
        return Leadership(self, "ns", "lease", identity, lease_seconds, clock=self.clock)

    async def get(self, path: str) -> JsonObject:
        await self._reach(path, "/leases/lease")
        if self.lease is None:
            raise ApiRefused(404, "NotFound", "no lease")
        return copy.deepcopy(self.lease)

    async def create(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        await self._reach(path, "/leases")
        if self.lease is not None:
            raise ApiRefused(409, "AlreadyExists", "there is one")
        return self._store(body)

    async def replace(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        await self._reach(path, "/leases/lease")
        if self.lease is None:
            raise ApiRefused(404, "NotFound", "no lease")
        if body["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise ApiRefused(409, "Conflict", "it was changed meanwhile")
        return self._store(body)

    async def _reach(self, path: str, end: str) -> None:
        assert path == f"/apis/coordination.k8s.io/v1/namespaces/ns{end}"
        await asyncio.sleep(0)
        if self.down:
            raise ApiUnavailable("connection refused")
        self.clock.now += self.slow_seconds

    def _store(self, body: Mapping[str, Any]) -> JsonObject:
        self._version += 1
        self.writes += 1
        stored = copy.deepcopy(dict(body))
        stored["metadata"] = {**stored["metadata"], "resourceVersion": str(self._version)}
        self.lease = stored
        if self.lose_answers:
            raise ApiUnavailable("the answer was lost")
        return copy.deepcopy(stored)
