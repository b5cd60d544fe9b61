"""The status is written when there is news, the newest only, not too often, and never lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from ballast.agent.node import node_power
from ballast.agent.node.node_power import OwnNodePower, StatusWriter
from ballast.api.nodestatus import NodePowerStatus
from ballast.errors import BallastError
from ballast.kube import ApiRefused, ApiUnavailable, JsonObject
from tests.power_builders import manifest

SECONDS = 7.0


def status(gpus: int) -> NodePowerStatus:
    return NodePowerStatus(gpu_count=gpus)


class Time:
    """Pauses that end when the test says so."""

    def __init__(self) -> None:
        self.pauses: list[float] = []
        self._ends: list[asyncio.Future[None]] = []

    async def sleep(self, seconds: float) -> None:
        end = asyncio.get_running_loop().create_future()
        self.pauses.append(seconds)
        self._ends.append(end)
        await end

    async def pass_(self) -> None:
        """End the pause that is on, and let everything happen."""
        await settle()
        for end in self._ends:
            if not end.done():
                end.set_result(None)
        await settle()


async def settle() -> None:
    """Let everything happen that waits for nothing."""
    for _ in range(20):
        await _sleep(0)


_sleep = asyncio.sleep


class Api:
    """Takes statuses."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.paths: set[str] = set()
        self.errors: list[BallastError] = []
        self.hold: asyncio.Event | None = None

    async def apply(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        self.paths.add(path)
        assert body["metadata"] == {"name": "a"}
        assert "spec" not in body
        if self.hold is not None:
            await self.hold.wait()
        if self.errors:
            raise self.errors.pop(0)
        self.written.append(body["status"]["gpuCount"])
        return {}


class Writing:
    """A writer at work."""

    def __init__(self, folder: Path) -> None:
        self.api = Api()
        self.own = OwnNodePower(folder)
        self.writer = StatusWriter(self.api, self.own, "a", SECONDS)  # type: ignore[arg-type]
        self.time = Time()

    def make(self, uid: str = "first") -> None:
        self.own.listed([manifest("a", uid=uid)])

    def put(self, *counts: int) -> None:
        for count in counts:
            self.writer.put(status(count))

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.writer.run())
        await settle()
        yield
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])


@pytest.fixture
async def writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writing:
    writing = Writing(tmp_path)
    monkeypatch.setattr(asyncio, "sleep", writing.time.sleep)
    return writing


async def test_it_is_written_to_the_nodes_own(writing: Writing) -> None:
    writing.make()
    async with writing.running():
        writing.put(1)
        await settle()
    assert writing.api.written == [1]
    assert writing.api.paths == {"/apis/ballast.dev/v1alpha1/nodepowers/a/status"}


async def test_only_the_newest_is_written(writing: Writing) -> None:
    writing.make()
    writing.put(1, 2, 3)
    async with writing.running():
        assert writing.api.written == [3]


async def test_nothing_is_written_while_nothing_changes(writing: Writing) -> None:
    writing.make()
    async with writing.running():
        for _ in range(3):
            writing.put(1)
            await writing.time.pass_()
    assert writing.api.written == [1]


async def test_not_more_often_than_it_may(writing: Writing) -> None:
    writing.make()
    async with writing.running():
        writing.put(1)
        await settle()
        writing.put(2)
        await settle()
        assert writing.api.written == [1]
        writing.put(3)
        await writing.time.pass_()
        assert writing.api.written == [1, 3]
    assert writing.time.pauses == [SECONDS, SECONDS]


async def test_it_waits_for_the_operator_to_make_the_node_power(writing: Writing) -> None:
    async with writing.running():
        writing.put(1, 2)
        await settle()
        assert writing.api.written == []
        writing.make()
        await settle()
    assert writing.api.written == [2]


async def test_a_new_node_power_gets_its_status_though_nothing_changed(writing: Writing) -> None:
    writing.make("first")
    async with writing.running():
        writing.put(1)
        await writing.time.pass_()
        writing.own.listed([])
        writing.make("second")
        writing.put(1)
        await writing.time.pass_()
    assert writing.api.written == [1, 1]


@pytest.mark.parametrize("error", [ApiUnavailable("503"), ApiRefused(409, "Conflict", "")], ids=["away", "refused"])
async def test_what_could_not_be_written_is_tried_again(writing: Writing, error: BallastError) -> None:
    writing.make()
    writing.api.errors = [error, error]
    async with writing.running():
        writing.put(1)
        for _ in range(6):
            await writing.time.pass_()
    assert writing.api.written == [1]
    assert node_power.RETRY_SECONDS in writing.time.pauses


async def test_after_an_error_the_newest_is_written(writing: Writing) -> None:
    writing.make()
    writing.api.errors = [ApiUnavailable("503")]
    async with writing.running():
        writing.put(1)
        await settle()
        writing.put(2)
        for _ in range(3):
            await writing.time.pass_()
    assert writing.api.written == [2]


async def test_what_is_put_while_another_is_written_follows(writing: Writing) -> None:
    writing.make()
    writing.api.hold = asyncio.Event()
    async with writing.running():
        writing.put(1)
        await settle()
        writing.put(2)
        writing.api.hold.set()
        await writing.time.pass_()
    assert writing.api.written == [1, 2]


async def test_so_does_what_is_as_it_was_before_that_one(writing: Writing) -> None:
    """Else the last status would be one that does not hold any more."""
    writing.make()
    async with writing.running():
        writing.put(1)
        await writing.time.pass_()
        writing.api.hold = asyncio.Event()
        writing.put(2)
        await settle()
        writing.put(1)
        writing.api.hold.set()
        await writing.time.pass_()
    assert writing.api.written == [1, 2, 1]


async def test_the_last_words_are_written_at_once(writing: Writing) -> None:
    writing.make()
    async with writing.running():
        writing.put(1)
        await settle()
    writing.put(2)
    await writing.writer.write()
    await writing.writer.write()
    assert writing.api.written == [1, 2]


async def test_where_there_are_none_nothing_is_written(writing: Writing) -> None:
    writing.make()
    await writing.writer.write()
    assert writing.api.written == []
