"""An agent that serves at the address of a node, certified by an operator, and pods that ask it."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import aiohttp
import pytest

from ballast.agent.serving.server import application, serve_readings
from ballast.agent.serving.serving_certificate import ServingCertificate
from ballast.agent.serving.tokens import Tokens
from ballast.api.readings import PodReadings
from ballast.kube import KubeClient
from ballast.serve.agent_certificates import AgentCertificates
from tests.e2e.operator_process import free_port
from tests.integration.agent_serving.site import ADDRESS, NAMESPACE, NODE, Site

JsonObject = dict[str, Any]


@dataclass
class Agent:
    """A serving agent.

    Attributes:
        port: where it listens.
        trusts: the authorities that pods are told to trust.
        gone: UIDs of pods that it saw go.
    """

    port: int
    trusts: str
    gone: set[str] = field(default_factory=set)

    async def ask(self, token: str | None, pod: str = "") -> tuple[int, JsonObject]:
        """Ask as a pod does."""
        context = ssl.create_default_context(cadata=self.trusts)
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        url = f"https://{ADDRESS}:{self.port}/v1/readings" + (f"?pod={pod}" if pod else "")
        async with aiohttp.ClientSession() as session, session.get(url, ssl=context, headers=headers) as response:
            return response.status, await response.json(content_type=None)


@contextlib.asynccontextmanager
async def certifying(kube: KubeClient) -> AsyncIterator[AgentCertificates]:
    """What the leading operator does, as long as the context lasts."""
    certificates = AgentCertificates(kube, NAMESPACE)
    running = asyncio.create_task(certificates.run())
    try:
        await certificates.ready.wait()
        yield certificates
    finally:
        await _end(running)


@contextlib.asynccontextmanager
async def serving(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Agent]:
    """The agent of `NODE`, which has readings of every pod, as long as the context lasts."""
    async with (
        site.operator(monkeypatch) as operators,
        site.agent(monkeypatch) as own,
        certifying(operators) as certificates,
    ):
        served = ServingCertificate(own, NODE, [ip_address(ADDRESS)])
        await served.renew()
        assert certificates.ca_bundle is not None
        agent = Agent(free_port(), certificates.ca_bundle)
        tokens = Tokens(own, NODE, agent.gone.__contains__)
        answering = asyncio.create_task(
            serve_readings(application(tokens, _readings), ADDRESS, agent.port, served.context)
        )
        try:
            await _listening(agent.port)
            yield agent
        finally:
            await _end(answering)
            await tokens.close()


def _readings(uid: str) -> PodReadings:
    now = datetime.now(UTC)
    return PodReadings(
        pod_uid=uid, namespace=NAMESPACE, name="any", node=NODE, at=now, since=now, joules=1.0, watts=1.0
    )


async def _listening(port: int) -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection(ADDRESS, port)
        except OSError:
            await asyncio.sleep(0.01)
        else:
            writer.close()
            return


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait([task])
