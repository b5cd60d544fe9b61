"""Follows one collection of the API server: a list, then what changes, and all over again whenever that breaks.

What must hold: after a list, what it lacks is gone, whatever a broken watch did not say; an API server that is away, or
that lists and does not let watch, is asked again after a pause that grows, and costs nothing but that.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from contextlib import aclosing

from ballast.errors import BallastError
from ballast.kube import ApiUnavailable, JsonObject, KubeClient

logger = logging.getLogger(__name__)

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
WELL_SECONDS = 30.0
"""What went well for so long has not failed again and again."""
SHORTEST_WATCH_SECONDS = 1.0
"""A watch that ends sooner, and told nothing, is none."""

Listed = Callable[[Sequence[JsonObject]], None]
Changed = Callable[[str, JsonObject], None]


async def follow(kube: KubeClient, path: str, field_selector: str, on_list: Listed, on_change: Changed) -> None:
    """Follow a collection until cancelled.

    Args:
        kube: the client.
        path: of the collection.
        field_selector: only objects of which this holds.
        on_list: told everything that is there, at the beginning and whenever a watch broke.
        on_change: told each change after that: `ADDED`, `MODIFIED` or `DELETED`, and the object.
    """
    failures = 0
    loop = asyncio.get_running_loop()
    while True:
        began = loop.time()
        try:
            version = await _list(kube, path, field_selector, on_list)
            while True:  # The API server ends a watch now and then; the next one goes on where it stopped.
                version = await _watch(kube, path, version, field_selector, on_change)
        except BallastError as error:
            failures = 1 if loop.time() - began >= WELL_SECONDS else failures + 1
            pause = min(FIRST_PAUSE_SECONDS * 2 ** min(failures - 1, 10), LONGEST_PAUSE_SECONDS)
            logger.log(
                logging.WARNING if failures > 1 else logging.DEBUG,
                "cannot follow the API server; trying again",
                extra={"path": path, "error": str(error), "pause_seconds": round(pause, 1)},
            )
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311 - so that agents do not come all at once


async def _list(kube: KubeClient, path: str, field_selector: str, on_list: Listed) -> str:
    objects: list[JsonObject] = []
    version = "0"
    async for page in kube.list_pages(path, field_selector=field_selector):
        objects.extend(page["items"])
        version = page["metadata"]["resourceVersion"]
    on_list(objects)
    return version


async def _watch(kube: KubeClient, path: str, version: str, field_selector: str, on_change: Changed) -> str:
    loop = asyncio.get_running_loop()
    began, was_told = loop.time(), False
    async with aclosing(kube.watch(path, version, field_selector)) as events:
        async for kind, obj in events:
            was_told = True
            version = obj["metadata"]["resourceVersion"]
            if kind != "BOOKMARK":
                on_change(kind, obj)
    if not was_told and loop.time() - began < SHORTEST_WATCH_SECONDS:
        raise ApiUnavailable(f"watch {path}: it ended as soon as it began")
    return version
