"""The agent's own server answers the exporter's client: told, not known yet, not let in."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from aiohttp.test_utils import TestServer

from ballast.agent.serving.server import application
from ballast.api.readings import GpuShare, PodReadings
from ballast.api.source import Source
from ballast.exporter.agent_client import AgentClient, NotKnownYet, Refused
from tests.unit.agent.token_reviews import NODE, TOKEN, TokenReviews
from tests.unit.exporter.tls_agent import Authority, grant

TIME = datetime(2026, 1, 1, tzinfo=UTC)
GPU = GpuShare(uuid="GPU-1", active_joules=10.5, idle_joules=2.0, watts=99.5, source=Source.COUNTER)


async def test_the_agents_server_answers(tmp_path: Path) -> None:
    told: dict[str, PodReadings] = {}
    authority = Authority()
    grant(tmp_path / "agent", authority, TOKEN)
    server = TestServer(application(TokenReviews().tokens, told.get))
    await server.start_server(ssl=authority.context(tmp_path, NODE))
    client = AgentClient("127.0.0.1", server.port or 0, NODE, tmp_path / "agent")
    try:
        with pytest.raises(NotKnownYet, match="train-1-0 yet"):
            await asyncio.to_thread(client.ask, 5)
        told["uid-1"] = PodReadings(
            pod_uid="uid-1", namespace="team", name="a", node=NODE, at=TIME, since=TIME, gpus=(GPU,), joules=12, watts=9
        )
        readings = await asyncio.to_thread(client.ask, 5)
        assert (readings.pod_uid, readings.at) == ("uid-1", TIME.timestamp())
        assert readings.shares[0].active_joules == 10.5
        grant(tmp_path / "agent", authority, "some.other.token")
        with pytest.raises(Refused) as refused:
            await asyncio.to_thread(client.ask, 5)
        assert refused.value.status == 401
    finally:
        client.close()
        await server.close()
