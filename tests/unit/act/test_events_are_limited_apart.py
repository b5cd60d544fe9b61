"""Events take nothing from the rate of other requests, and do not wait for it: their recorder limits them."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import ApiClient, Configuration

from ballast.act import paths
from ballast.kube import KubeClient, RateLimiter

PODS = "/api/v1/namespaces/ns/pods"


@pytest.fixture
async def kube() -> AsyncIterator[KubeClient]:
    async def answer(_: web.Request) -> web.Response:
        return web.json_response({"items": []})

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", answer)
    async with TestServer(app) as server:
        configuration = Configuration()
        configuration.host = str(server.make_url("/")).rstrip("/")
        async with KubeClient(ApiClient(configuration)) as client:
            yield client


@pytest.fixture
def acquired(monkeypatch: pytest.MonkeyPatch) -> list[None]:
    acquired: list[None] = []

    async def acquire(_: RateLimiter) -> None:
        acquired.append(None)

    monkeypatch.setattr(RateLimiter, "acquire", acquire)
    return acquired


async def test_a_new_event_does_not_count(kube: KubeClient, acquired: list[None]) -> None:
    await kube.create(paths.events("ns"), {})
    assert acquired == []


async def test_everything_else_does(kube: KubeClient, acquired: list[None]) -> None:
    await kube.create(PODS, {})
    await kube.list_events("ns", "uid", "FailedCreate")
    assert len(acquired) == 2
