"""Complete lists: the first picture, and a periodic check of what the watches made of it.

kopf says nothing of objects that vanish while its watch is broken (a 410 followed by a new list), so everything is
listed now and then, page by page, and what is gone is forgotten. Lists do not overlap, and none of them may be served
from a cache of the API server's: what was written before a list began is in it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, Protocol

from ballast.errors import BallastError
from ballast.observe.cluster_state import ClusterState, Kind

logger = logging.getLogger(__name__)

RETRY_SECONDS = 2.0
SETTLE_SECONDS = 1.0


class Lists(Protocol):
    """What is needed of the API client."""

    def list_pages(self, path: str, label_selector: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Yield a collection page by page."""
        ...


class Resync:
    """Lists everything that is watched into the state.

    Args:
        lists: the API client.
        state: what is filled.
        collections: path and label selector of each kind, in the order in which they are listed: what a job's
            admission depends on comes before the jobs.
    """

    def __init__(self, lists: Lists, state: ClusterState, collections: dict[Kind, tuple[str, str | None]]) -> None:
        self._lists = lists
        self._state = state
        self._collections = collections
        self._listing = asyncio.Lock()
        self._asked = asyncio.Event()

    async def first(self) -> None:
        """List everything once, then open the state for the control loop."""
        await self.complete()
        self._state.synced.set()

    async def complete(self) -> None:
        """List everything once, however often that has to be tried."""
        while True:
            try:
                await self._list_all()
            except BallastError as error:
                logger.warning(
                    "cannot list yet; are the CRDs installed and the permissions granted?", extra={"error": str(error)}
                )
                await asyncio.sleep(RETRY_SECONDS)
            else:
                return

    def ask(self) -> None:
        """Ask for a list soon, because a watch began anew: what vanished before that nobody tells."""
        self._asked.set()

    async def run(self, interval_seconds: float) -> None:
        """List everything when asked to, and again and again, until cancelled."""
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(interval_seconds):
                    await self._asked.wait()
            await self._settle()
            try:
                await self._list_all()
            except BallastError as error:
                logger.warning("resync failed; the watches go on", extra={"error": str(error)})

    async def _settle(self) -> None:
        """Wait until nobody has asked for a while: a watch that begins tells of each object that is there."""
        while self._asked.is_set():
            self._asked.clear()
            await asyncio.sleep(SETTLE_SECONDS)

    async def _list_all(self) -> None:
        async with self._listing:
            for kind, (path, selector) in self._collections.items():
                objects: list[dict[str, Any]] = []
                version = "0"
                async for page in self._lists.list_pages(path, selector):
                    objects.extend(page["items"])
                    version = page["metadata"]["resourceVersion"]
                # Between pages the loop is free; within this call nothing is awaited.
                self._state.replace_all(kind, objects, version)
