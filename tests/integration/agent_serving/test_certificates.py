"""A real API server carries agents' requests; each agent gets its own node's certificate, and others get none."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any

import aiohttp
import pytest
from cryptography import x509

from ballast.agent.serving.serving_certificate import NotSigned, ServingCertificate
from ballast.kube import ApiRefused, KubeClient
from ballast.serve.agent_certificates import AgentCertificates
from ballast.serve.certificates import new_authority, pem
from tests.integration.agent_serving.serving import Agent, certifying
from tests.integration.agent_serving.site import ADDRESS, NAMESPACE, NODE, OTHER_NODE, Site
from tests.unit.serve.agent_requests import pkcs10

REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
SECRET = f"/api/v1/namespaces/{NAMESPACE}/secrets/ballast-agent-ca"


def asking_for(node: str, **spec: Any) -> dict[str, Any]:
    """A request for a node's name."""
    return {
        "metadata": {"generateName": "asked-by-a-test-"},
        "spec": {
            "signerName": "ballast.dev/agent-serving",
            "request": base64.b64encode(pkcs10([x509.DNSName(f"{node}.agents.ballast.dev")])).decode(),
            "usages": ["digital signature", "server auth"],
            **spec,
        },
    }


@pytest.fixture
async def operator(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[AgentCertificates]:
    """An operator that signs."""
    async with site.operator(monkeypatch) as kube, certifying(kube) as certificates:
        yield certificates


@pytest.fixture
async def own(site: Site, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    """A client of the agent of `NODE`."""
    async with site.agent(monkeypatch) as kube:
        yield kube


async def test_an_agent_gets_its_own_node(operator: AgentCertificates, own: KubeClient) -> None:
    served = ServingCertificate(own, NODE, [ip_address(ADDRESS)])
    await served.renew()
    assert served.certificate is not None
    names = served.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == [f"{NODE}.agents.ballast.dev"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address(ADDRESS)]


@pytest.mark.parametrize(
    ("node", "address", "told"),
    [(OTHER_NODE, ADDRESS, f"asked for {OTHER_NODE}.agents.ballast.dev"), (NODE, "10.9.9.9", "asked for 10.9.9.9")],
)
async def test_and_no_other_node_nor_address(
    operator: AgentCertificates, own: KubeClient, node: str, address: str, told: str
) -> None:
    with pytest.raises(NotSigned, match=f"was refused: the agent of node {NODE} .*{told}"):
        await ServingCertificate(own, node, [ip_address(address)]).renew()


async def test_somebody_else_is_denied(operator: AgentCertificates, site: Site) -> None:
    # What somebody claims of themselves is written over by the API server.
    claims = {
        "username": f"system:serviceaccount:{NAMESPACE}:ballast-agent",
        "extra": {"authentication.kubernetes.io/node-name": [NODE]},
    }
    made = site.kube.create(REQUESTS, asking_for(NODE, **claims))
    path = f"{REQUESTS}/{made['metadata']['name']}"
    while not (conditions := site.kube.get(path)["status"].get("conditions")):  # noqa: ASYNC110 - it takes a moment
        await asyncio.sleep(0.05)
    assert [each["type"] for each in conditions] == ["Denied"]
    assert "gets certificates of ballast.dev/agent-serving" in conditions[0]["message"]
    assert "certificate" not in site.kube.get(path)["status"]


async def test_an_agent_cannot_approve_its_own_request(own: KubeClient, site: Site) -> None:
    made = await own.create(REQUESTS, asking_for(OTHER_NODE))
    for subresource in ("approval", "status"):
        with pytest.raises(ApiRefused, match="403"):
            await own.replace(f"{REQUESTS}/{made['metadata']['name']}/{subresource}", made)
    site.kube.delete(f"{REQUESTS}/{made['metadata']['name']}")


async def test_without_an_operator_it_comes_when_there_is_one(
    own: KubeClient, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    served = ServingCertificate(own, NODE, [ip_address(ADDRESS)])
    renewing = asyncio.create_task(served.renew())
    await asyncio.sleep(1)
    assert not served.ready.is_set()
    async with site.operator(monkeypatch) as kube, certifying(kube):
        await renewing
    assert served.ready.is_set()


async def test_replicas_share_one_authority(
    operator: AgentCertificates, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with site.operator(monkeypatch) as kube, certifying(kube) as other:
        assert other.ca_bundle == operator.ca_bundle
    assert operator.ca_bundle is not None
    assert base64.b64decode(site.kube.get(SECRET)["data"]["ca.crt"]) == operator.ca_bundle.encode()


async def test_a_pod_that_trusts_another_authority_does_not_speak_to_it(agent: Agent) -> None:
    now = datetime.now(UTC)
    authority, _ = new_authority("another", now, now + timedelta(days=1))
    stranger = Agent(agent.port, pem(authority).decode())
    with pytest.raises(aiohttp.ClientConnectorCertificateError):
        await stranger.ask("a.b.c")
