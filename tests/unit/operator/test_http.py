"""Probes answer 200 or 503 with the reason; /metrics is Prometheus' text."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ballast.http import application
from ballast.serve.metrics import Metrics


async def ask(path: str, unhealthy: str | None = None, not_ready: str | None = None) -> tuple[int, str, str]:
    app = application(Metrics().render, lambda: unhealthy, lambda: not_ready)
    async with TestClient(TestServer(app)) as client, client.get(path) as response:
        return response.status, await response.text(), response.headers["Content-Type"]


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_all_is_well(path: str) -> None:
    assert (await ask(path))[:2] == (200, "ok\n")


async def test_an_unhealthy_operator_says_why_and_may_still_be_ready() -> None:
    assert (await ask("/healthz", unhealthy="stuck"))[:2] == (503, "stuck\n")
    assert (await ask("/readyz", unhealthy="stuck"))[0] == 200


async def test_one_that_is_not_ready_says_why_and_may_still_be_healthy() -> None:
    assert (await ask("/readyz", not_ready="no list yet"))[:2] == (503, "no list yet\n")
    assert (await ask("/healthz", not_ready="no list yet"))[0] == 200


async def test_metrics_are_prometheus_text() -> None:
    status, text, content_type = await ask("/metrics")
    assert status == 200
    assert content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert "# TYPE ballast_cycle_seconds histogram" in text
