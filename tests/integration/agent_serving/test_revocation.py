"""A deleted pod's token ends: at once where the agent saw it go, else within what API server and agent remember."""

from __future__ import annotations

import asyncio
import time

import pytest

from ballast.agent.serving.tokens import ACCEPTED_SECONDS
from tests.integration.agent_serving.serving import Agent
from tests.integration.agent_serving.site import Site

API_SERVER_SECONDS = 10.0
"""How long the API server remembers that a token was good."""
SLACK_SECONDS = 5.0
"""For the API server's watch of pods, and for requests on a busy machine."""


async def refused_within(agent: Agent, token: str, limit: float) -> None:
    """Ask twice a second until it is refused."""
    start = time.monotonic()
    while (await agent.ask(token))[0] == 200:
        assert time.monotonic() - start < limit, f"a deleted pod is still told its readings after {limit} s"
        await asyncio.sleep(0.5)
    assert (await agent.ask(token))[0] == 401
    print(f"refused after {time.monotonic() - start:.1f} s")


async def test_of_a_pod_that_the_agent_saw_go_at_once(site: Site, agent: Agent) -> None:
    uid, token = site.pod("seen"), site.token("seen")
    assert (await agent.ask(token))[0] == 200
    site.delete_pod("seen")
    agent.gone.add(uid)
    assert (await agent.ask(token))[0] == 401


async def test_another_pod_of_the_same_name_has_another_token(site: Site, agent: Agent) -> None:
    old_uid, old = site.pod("twin"), site.token("twin")
    site.delete_pod("twin")
    new_uid, new = site.pod("twin"), site.token("twin")
    try:
        status, content = await agent.ask(new)
        assert (status, content["podUid"]) == (200, new_uid)
        assert new_uid != old_uid
        assert (await agent.ask(old))[0] == 401
    finally:
        site.delete_pod("twin")


@pytest.mark.slow
async def test_of_a_deleted_pod_within_what_is_remembered(site: Site, agent: Agent) -> None:
    site.pod("deleted")
    token = site.token("deleted")
    assert (await agent.ask(token))[0] == 200
    site.delete_pod("deleted")
    limit = API_SERVER_SECONDS + ACCEPTED_SECONDS + SLACK_SECONDS
    await refused_within(agent, token, limit)
