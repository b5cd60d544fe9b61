"""The first picture is tried for until it is complete; later lists may fail without harm."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from ballast.kube import ApiRefused
from ballast.observe import resync
from ballast.observe.cluster_state import ClusterState, Kind
from ballast.observe.resync import Resync
from tests.builders import NOW, JobBuilder, job, node

COLLECTIONS: dict[Kind, tuple[str, str | None]] = {
    Kind.NODE: ("/nodes", None),
    Kind.TRAINING_JOB: ("/jobs", "ours"),
}


class Server:
    """Lists two pages of jobs and one node; refuses as often as it is told to."""

    def __init__(self, refusals: int = 0) -> None:
        self.refusals = refusals
        self.asked: list[tuple[str, str | None]] = []
        self.jobs: list[JobBuilder] = [job("a"), job("b")]
        self.asked_again = asyncio.Event()

    async def list_pages(self, path: str, label_selector: str | None = None) -> AsyncIterator[dict[str, Any]]:
        self.asked.append((path, label_selector))
        if len(self.asked) > 3:
            self.asked_again.set()
        if self.refusals:
            self.refusals -= 1
            raise ApiRefused(404, "NotFound", "no such resource")
        items = [node("n").manifest()] if path == "/nodes" else [each.manifest() for each in self.jobs]
        for item in items:
            yield {"metadata": {"resourceVersion": "10"}, "items": [item]}


def names(state: ClusterState) -> set[str]:
    return {each.name for each in state.snapshot(NOW, 10).review}


async def test_everything_is_listed_in_order_before_the_state_opens() -> None:
    state, server = ClusterState(), Server()
    await Resync(server, state, COLLECTIONS).first()
    assert server.asked == [("/nodes", None), ("/jobs", "ours")]
    assert state.synced.is_set()
    assert names(state) == {"a", "b"}


async def test_the_first_list_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "RETRY_SECONDS", 0)
    state, server = ClusterState(), Server(refusals=2)
    await Resync(server, state, COLLECTIONS).first()
    assert len(server.asked) == 4
    assert state.synced.is_set()


async def test_a_half_list_does_not_open_the_state(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "RETRY_SECONDS", 60)
    state, server = ClusterState(), Server(refusals=1)
    task = asyncio.create_task(Resync(server, state, COLLECTIONS).first())
    await asyncio.sleep(0)
    assert not state.synced.is_set()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def test_later_lists_find_what_vanished_even_after_one_failed() -> None:
    state, server = ClusterState(), Server()
    again = Resync(server, state, COLLECTIONS)
    await again.first()
    server.jobs, server.refusals, server.asked = [job("b")], 1, []
    server.asked_again.clear()
    task = asyncio.create_task(again.run(interval_seconds=0))
    await server.asked_again.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert names(state) == {"b"}


async def test_lists_do_not_overlap() -> None:
    state, server = ClusterState(), Server()
    again = Resync(server, state, COLLECTIONS)
    await asyncio.gather(again.first(), again.complete(), again.complete())
    assert server.asked == 3 * [("/nodes", None), ("/jobs", "ours")]


async def test_whoever_asks_for_a_list_gets_one_when_asking_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resync, "SETTLE_SECONDS", 0.01)
    state, server = ClusterState(), Server()
    again = Resync(server, state, COLLECTIONS)
    await again.first()
    server.jobs = [job("b")]
    task = asyncio.create_task(again.run(interval_seconds=3600))
    for _ in range(3):
        again.ask()
        await asyncio.sleep(0)
    await server.asked_again.wait()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert names(state) == {"b"}
    assert server.asked == 2 * [("/nodes", None), ("/jobs", "ours")]
