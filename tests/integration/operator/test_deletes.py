"""A deletion takes the object that is meant, or none."""

from __future__ import annotations

import pytest

from ballast.kube import ApiRefused, KubeClient
from tests.e2e.kube import JsonObject
from tests.e2e.namespace import Namespace


@pytest.fixture
def secret(namespace: Namespace) -> JsonObject:
    return namespace.kube.create(_path(namespace, ""), {"metadata": {"name": "s"}})


def _path(namespace: Namespace, name: str = "/s") -> str:
    return f"/api/v1/namespaces/{namespace.name}/secrets{name}"


async def test_the_one_that_is_meant(client: KubeClient, namespace: Namespace, secret: JsonObject) -> None:
    metadata = secret["metadata"]
    assert await client.delete(_path(namespace), metadata["uid"], metadata["resourceVersion"]) is not None
    found = namespace.kube.find(_path(namespace))
    # In the foreground it goes when the garbage collector has looked at it.
    assert found is None or "deletionTimestamp" in found["metadata"]


async def test_one_that_is_gone_is_done(client: KubeClient, namespace: Namespace) -> None:
    assert await client.delete(_path(namespace), "no-such-uid") is None


async def test_another_of_its_name_is_left_alone(client: KubeClient, namespace: Namespace, secret: JsonObject) -> None:
    with pytest.raises(ApiRefused) as refusal:
        await client.delete(_path(namespace), "00000000-0000-0000-0000-000000000000")
    assert refusal.value.status == 409
    assert namespace.kube.find(_path(namespace)) is not None


async def test_one_that_was_changed_meanwhile_is_left_alone(
    client: KubeClient, namespace: Namespace, secret: JsonObject
) -> None:
    namespace.kube.merge(_path(namespace), {"metadata": {"labels": {"a": "b"}}})
    with pytest.raises(ApiRefused) as refusal:
        await client.delete(_path(namespace), secret["metadata"]["uid"], secret["metadata"]["resourceVersion"])
    assert refusal.value.status == 409
    assert await client.delete(_path(namespace), secret["metadata"]["uid"]) is not None


async def test_in_the_foreground_it_stays_until_what_it_owns_is_gone(client: KubeClient, namespace: Namespace) -> None:
    workload = {
        "metadata": {"name": "j"},
        "spec": {
            "suspend": True,
            "template": {"spec": {"restartPolicy": "Never", "containers": [{"name": "c", "image": "example.com/c:1"}]}},
        },
    }
    made = namespace.kube.create(namespace.workloads_path, workload)
    deleted = await client.delete(f"{namespace.workloads_path}/j", made["metadata"]["uid"])
    assert deleted is not None
    assert deleted["metadata"]["deletionTimestamp"]
    assert deleted["metadata"]["finalizers"] == ["foregroundDeletion"]


async def test_a_dry_run_creates_nothing(client: KubeClient, namespace: Namespace) -> None:
    answer = await client.create(_path(namespace, ""), {"metadata": {"name": "s"}}, dry_run=True)
    assert answer["metadata"]["uid"]
    assert namespace.kube.find(_path(namespace)) is None
