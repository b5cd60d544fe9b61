"""A write leaves only if the fence is open as its bytes are handed to the connection, whatever it waited for before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from ballast.errors import NotLeading
from ballast.kube import KubeClient, RateLimiter

POD = "/api/v1/namespaces/ns/pods/p"
PODS = "/api/v1/namespaces/ns/pods"

WRITES: dict[str, Callable[[KubeClient], Awaitable[object]]] = {
    "apply": lambda kube: kube.apply(POD, {}),
    "patch": lambda kube: kube.json_patch(POD, []),
    "create": lambda kube: kube.create(PODS, {}),
    "dry run": lambda kube: kube.create(PODS, {}, dry_run=True),
    "replace": lambda kube: kube.replace(POD, {}),
    "delete": lambda kube: kube.delete(POD, "uid"),
}


class Fence:
    """Open, until it is closed; or for so many more questions."""

    def __init__(self) -> None:
        self.questions_left = 1_000

    def __call__(self) -> None:
        self.questions_left -= 1
        if self.questions_left < 0:
            raise NotLeading("closed")

    def close(self) -> None:
        self.questions_left = 0


@pytest.fixture
def arrived() -> list[str]:
    return []


@pytest.fixture
async def url(arrived: list[str]) -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.Response:
        arrived.append(request.method)
        return web.json_response({"items": [], "metadata": {}})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app) as server:
        yield str(server.make_url("/")).rstrip("/")


def client(url: str, fence: Fence) -> KubeClient:
    configuration = Configuration()
    configuration.host = url
    return KubeClient(ApiClient(configuration), 1_000, fence=fence)


@pytest.mark.parametrize("write", WRITES)
async def test_an_open_fence_lets_it_pass(write: str, url: str, arrived: list[str]) -> None:
    async with client(url, Fence()) as kube:
        await WRITES[write](kube)
    assert len(arrived) == 1


@pytest.mark.parametrize("write", WRITES)
async def test_a_closed_one_does_not(write: str, url: str, arrived: list[str]) -> None:
    fence = Fence()
    async with client(url, fence) as kube:
        fence.close()
        with pytest.raises(NotLeading):
            await WRITES[write](kube)
    assert arrived == []


async def test_reading_is_free(url: str, arrived: list[str]) -> None:
    fence = Fence()
    fence.close()
    async with client(url, fence) as kube:
        await kube.get(POD)
        assert [page async for page in kube.list_pages(PODS)]
    assert arrived == ["GET", "GET"]


@pytest.mark.parametrize("write", WRITES)
async def test_it_is_asked_again_when_header_and_body_leave(write: str, url: str, arrived: list[str]) -> None:
    """Each question that a write asks is one that can hold it back: none comes when it is too late."""
    fence = Fence()
    async with client(url, fence) as kube:
        await WRITES[write](kube)
        asked = 1_000 - fence.questions_left
        assert asked >= 2, "only before it got its connection"
        arrived.clear()
        for questions in range(asked):
            fence.questions_left = questions
            with pytest.raises(NotLeading):
                await WRITES[write](kube)
    assert arrived == []


async def test_one_that_closes_while_a_write_waits_for_its_turn_holds_it_back(
    url: str, arrived: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fence, waits, turn = Fence(), asyncio.Event(), asyncio.Event()

    async def acquire(_: RateLimiter) -> None:
        waits.set()
        await turn.wait()

    monkeypatch.setattr(RateLimiter, "acquire", acquire)
    async with client(url, fence) as kube:
        write = asyncio.create_task(kube.apply(POD, {}))
        await waits.wait()
        fence.close()
        turn.set()
        with pytest.raises(NotLeading):
            await write
    assert arrived == []
