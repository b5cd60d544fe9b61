"""The Lease on a real API server: taken, renewed, refused to a second one, given back."""

from __future__ import annotations

import asyncio

import pytest

from ballast.errors import NotLeading
from ballast.kube import KubeClient
from ballast.leadership import Leadership
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace

LEASE_SECONDS = 3


def replica(client: KubeClient, namespace: Namespace, identity: str) -> Leadership:
    return Leadership(client, namespace.name, "lease", identity, LEASE_SECONDS)


def spec(namespace: Namespace) -> JsonObject:
    found: JsonObject = namespace.kube.get(path(namespace))["spec"]
    return found


def path(namespace: Namespace) -> str:
    return f"/apis/coordination.k8s.io/v1/namespaces/{namespace.name}/leases/lease"


async def test_it_goes_from_one_to_the_other(client: KubeClient, namespace: Namespace) -> None:
    a, b = replica(client, namespace, "a"), replica(client, namespace, "b")
    assert await a.attempt()
    assert not await b.attempt()
    assert spec(namespace)["holderIdentity"] == "a"
    await a.release()
    assert "holderIdentity" not in spec(namespace)
    assert await b.attempt()
    assert spec(namespace)["holderIdentity"] == "b"
    assert spec(namespace)["leaseTransitions"] == 1
    assert spec(namespace)["leaseDurationSeconds"] == LEASE_SECONDS


async def test_of_many_at_once_one_gets_it(client: KubeClient, namespace: Namespace) -> None:
    replicas = [replica(client, namespace, f"r{number}") for number in range(8)]
    got = await asyncio.gather(*(each.attempt() for each in replicas))
    assert got.count(True) == 1
    assert spec(namespace)["holderIdentity"] == f"r{got.index(True)}"


async def test_a_renewed_one_outlives_its_time_and_a_silent_one_does_not(
    client: KubeClient, namespace: Namespace
) -> None:
    a, b = replica(client, namespace, "a"), replica(client, namespace, "b")
    assert await a.attempt()
    keeping = asyncio.create_task(a.keep())
    acquiring = asyncio.create_task(b.acquire())
    await asyncio.sleep(LEASE_SECONDS * 1.5)
    assert a.leading
    assert not acquiring.done()
    keeping.cancel()
    await acquiring
    assert b.leading
    with pytest.raises(NotLeading):
        a.check()


async def test_one_that_was_taken_is_noticed(client: KubeClient, namespace: Namespace) -> None:
    a = replica(client, namespace, "a")
    assert await a.attempt()
    namespace.kube.merge(path(namespace), {"spec": {"holderIdentity": "b"}})
    with pytest.raises(NotLeading, match="b has taken the lease"):
        await a.keep()
    assert spec(namespace)["holderIdentity"] == "b"
