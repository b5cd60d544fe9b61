"""Watching and listing: what the API server is asked, what it tells, and how it may end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from ballast.kube import PAGE_SIZE, WATCH_SECONDS, ApiRefused, ApiUnavailable, KubeClient

PODS = "/api/v1/pods"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Api:
    """An API server that answers as the test says.

    Attributes:
        queries: of each request.
        ended: set when whoever watched has gone.
    """

    def __init__(self) -> None:
        self.answer: Answer = self.stream()
        self.queries: list[dict[str, str]] = []
        self.ended = asyncio.Event()

    async def handle(self, request: web.Request) -> web.StreamResponse:
        assert request.path == PODS
        self.queries.append(dict(request.query))
        return await self.answer(request)

    def stream(self, *parts: str, ends: str = "well") -> Answer:
        """A watch: these bytes, each sent apart, and then its end."""

        async def answer(request: web.Request) -> web.StreamResponse:
            response = web.StreamResponse()
            await response.prepare(request)
            try:
                for part in parts:
                    await response.write(part.encode())
                    await asyncio.sleep(0.005)
                if ends == "broken":
                    assert request.transport is not None
                    request.transport.abort()
                if ends == "never":
                    await asyncio.sleep(30)
            finally:
                self.ended.set()
            return response

        return answer


def event(kind: str, name: str, **more: Any) -> str:
    return json.dumps({"type": kind, "object": {"metadata": {"name": name, "resourceVersion": "5"}} | more}) + "\n"


def refusal(code: int, reason: str) -> dict[str, Any]:
    return {"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": "so it is"}


@pytest.fixture
def api() -> Api:
    return Api()


@pytest.fixture
async def kube(api: Api) -> AsyncIterator[KubeClient]:
    app = web.Application()
    app.router.add_route("GET", "/{tail:.*}", api.handle)
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("/")).rstrip("/")
        async with KubeClient(ApiClient(configuration), 1_000) as kube:
            yield kube


async def watched(kube: KubeClient, selector: str | None = None) -> list[tuple[str, str]]:
    return [(kind, obj["metadata"]["name"]) async for kind, obj in kube.watch(PODS, "17", selector)]


async def test_it_asks_for_changes_after_a_version_and_for_bookmarks(api: Api, kube: KubeClient) -> None:
    assert await watched(kube, "spec.nodeName=a") == []
    assert api.queries == [
        {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": "17",
            "timeoutSeconds": str(WATCH_SECONDS),
            "fieldSelector": "spec.nodeName=a",
        }
    ]


async def test_each_event_is_told_until_the_api_server_ends_it(api: Api, kube: KubeClient) -> None:
    api.answer = api.stream(event("ADDED", "a"), event("MODIFIED", "a") + event("BOOKMARK", "b"), event("DELETED", "a"))
    assert await watched(kube) == [("ADDED", "a"), ("MODIFIED", "a"), ("BOOKMARK", "b"), ("DELETED", "a")]
    assert "fieldSelector" not in api.queries[0]


async def test_events_may_come_in_pieces(api: Api, kube: KubeClient) -> None:
    whole = event("ADDED", "ä") + event("DELETED", "ä")
    api.answer = api.stream(*(whole[at : at + 7] for at in range(0, len(whole), 7)))
    assert await watched(kube) == [("ADDED", "ä"), ("DELETED", "ä")]


async def test_an_event_may_be_long(api: Api, kube: KubeClient) -> None:
    api.answer = api.stream(event("ADDED", "a", data="x" * 500_000), event("ADDED", "b"))
    assert await watched(kube) == [("ADDED", "a"), ("ADDED", "b")]


async def test_an_event_is_told_when_it_comes_and_not_at_the_end(api: Api, kube: KubeClient) -> None:
    api.answer = api.stream(event("ADDED", "a"), ends="never")
    async with aclosing(kube.watch(PODS, "17")) as events:
        kind, _ = await anext(events)
        assert kind == "ADDED"
        assert not api.ended.is_set()


async def test_a_watch_that_is_left_ends_at_the_api_server_too(api: Api, kube: KubeClient) -> None:
    api.answer = api.stream(event("ADDED", "a"), ends="never")
    async with aclosing(kube.watch(PODS, "17")) as events:
        await anext(events)
    async with asyncio.timeout(10):
        await api.ended.wait()


@pytest.mark.parametrize("in_the_stream", [True, False])
async def test_a_version_that_is_too_old_is_refused(api: Api, kube: KubeClient, in_the_stream: bool) -> None:
    if in_the_stream:
        api.answer = api.stream(json.dumps({"type": "ERROR", "object": refusal(410, "Expired")}) + "\n")
    else:

        async def gone(_: web.Request) -> web.StreamResponse:
            return web.json_response(refusal(410, "Expired"), status=410)

        api.answer = gone
    with pytest.raises(ApiRefused) as refused:
        await watched(kube)
    assert refused.value.status == 410
    assert "so it is" in str(refused.value)


@pytest.mark.parametrize(
    ("code", "kind"),
    [(403, ApiRefused), (404, ApiRefused), (429, ApiUnavailable), (500, ApiUnavailable), (503, ApiUnavailable)],
)
async def test_a_refusal_is_typed(api: Api, kube: KubeClient, code: int, kind: type[Exception]) -> None:
    async def refuse(_: web.Request) -> web.StreamResponse:
        return web.json_response(refusal(code, "Because"), status=code)

    api.answer = refuse
    with pytest.raises(kind, match="so it is"):
        await watched(kube)


@pytest.mark.parametrize("rest", ["", '{"type": "ADD'], ids=["between events", "within one"])
async def test_a_connection_that_breaks_is_an_error_and_no_end(api: Api, kube: KubeClient, rest: str) -> None:
    api.answer = api.stream(event("ADDED", "a"), rest or "\n", ends="broken")
    told = []
    with pytest.raises(ApiUnavailable, match=PODS):  # noqa: PT012 - what came before it counts
        async for kind, _ in kube.watch(PODS, "17"):
            told.append(kind)
    assert told == ["ADDED"]


async def test_what_is_no_event_is_an_error(api: Api, kube: KubeClient) -> None:
    api.answer = api.stream("<html>a proxy's apology</html>\n")
    with pytest.raises(ApiUnavailable):
        await watched(kube)


async def test_an_api_server_that_is_away_is_an_error() -> None:
    configuration = Configuration()
    configuration.host = "http://127.0.0.1:9"
    async with KubeClient(ApiClient(configuration), 1_000) as kube:
        with pytest.raises(ApiUnavailable):
            await watched(kube)


async def test_a_list_has_the_selector_on_every_page(api: Api, kube: KubeClient) -> None:
    async def page(request: web.Request) -> web.StreamResponse:
        token = "" if "continue" in request.query else "more"
        return web.json_response({"items": [], "metadata": {"resourceVersion": "3", "continue": token}})

    api.answer = page
    pages = [each async for each in kube.list_pages(PODS, field_selector="spec.nodeName=a")]
    assert len(pages) == 2
    asked = {"limit": str(PAGE_SIZE), "fieldSelector": "spec.nodeName=a"}
    assert api.queries == [asked, asked | {"continue": "more"}]


async def test_and_both_selectors_together(api: Api, kube: KubeClient) -> None:
    async def page(_: web.Request) -> web.StreamResponse:
        return web.json_response({"items": [], "metadata": {}})

    api.answer = page
    assert [each async for each in kube.list_pages(PODS, "app=x", "spec.nodeName=a")]
    assert api.queries == [{"limit": str(PAGE_SIZE), "labelSelector": "app=x", "fieldSelector": "spec.nodeName=a"}]
