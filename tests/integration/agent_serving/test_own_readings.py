"""A pod is told its own readings over TLS; whoever shows anything but its own fresh token is told nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count

import pytest

from tests.integration.agent_serving.serving import Agent
from tests.integration.agent_serving.site import OTHER_NODE, Site

_numbers = count(1)


@pytest.fixture
def pod(site: Site) -> Iterator[str]:
    """The name of a pod of the test's own, on the agent's node."""
    name = f"asking-{next(_numbers)}"
    site.pod(name)
    yield name
    site.delete_pod(name)


def uid_of(site: Site, pod: str) -> str:
    uid: str = site.kube.get(f"{site.pods}/{pod}")["metadata"]["uid"]
    return uid


async def test_a_pod_is_told_its_own(site: Site, agent: Agent, pod: str) -> None:
    status, content = await agent.ask(site.token(pod))
    assert (status, content["podUid"]) == (200, uid_of(site, pod))


async def test_another_pods_power_is_forbidden(site: Site, agent: Agent, pod: str) -> None:
    other = site.pod("other")
    try:
        status, content = await agent.ask(site.token(pod), pod=other)
    finally:
        site.delete_pod("other")
    assert status == 403
    assert "a pod is told its own readings only" in content["detail"]


async def test_a_pod_of_another_node_is_sent_there(site: Site, agent: Agent) -> None:
    site.pod("elsewhere", OTHER_NODE)
    try:
        status, content = await agent.ask(site.token("elsewhere"))
    finally:
        site.delete_pod("elsewhere")
    assert status == 403
    assert f"runs on node {OTHER_NODE}" in content["detail"]


@pytest.mark.parametrize("audience", ["another", "https://kubernetes.default.svc.cluster.local"])
async def test_a_token_for_others_is_nobodys(site: Site, agent: Agent, pod: str, audience: str) -> None:
    status, content = await agent.ask(site.token(pod, audience))
    assert status == 401
    assert "not for audience ballast-agent" in content["detail"]


async def test_an_expired_token_is_nobodys(site: Site, agent: Agent, pod: str) -> None:
    token, now = site.token(pod), int(time.time())
    fresh = site.with_claims(token, iat=now - 60, nbf=now - 60, exp=now + 600)
    expired = site.with_claims(token, iat=now - 7200, nbf=now - 7200, exp=now - 3600)
    assert (await agent.ask(fresh))[0] == 200
    assert (await agent.ask(expired))[0] == 401


async def test_a_forged_token_is_nobodys(site: Site, agent: Agent, pod: str) -> None:
    header, content, signature = site.token(pod).split(".")
    assert (await agent.ask(f"{header}.{content}.{signature[::-1]}"))[0] == 401


async def test_a_token_that_is_bound_to_no_pod_is_nobodys(site: Site, agent: Agent) -> None:
    status, content = await agent.ask(site.unbound_token())
    assert status == 401
    assert "not bound to a pod" in content["detail"]


async def test_without_a_token_nothing_is_told(agent: Agent) -> None:
    assert (await agent.ask(None))[0] == 401
