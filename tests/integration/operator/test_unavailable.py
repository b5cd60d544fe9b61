"""An API server that cannot be reached is an error that is worth trying again."""

from __future__ import annotations

import pytest
from kubernetes.aio.client import ApiClient, Configuration

from ballast.errors import RetryableError
from ballast.kube import ApiUnavailable, KubeClient
from tests.e2e.operator_process import free_port


async def test_nobody_listens() -> None:
    configuration = Configuration()
    configuration.host = f"http://127.0.0.1:{free_port()}"
    asked: list[tuple[str, str, int]] = []

    def count(verb: str, resource: str, status: int) -> None:
        asked.append((verb, resource, status))

    async with KubeClient(ApiClient(configuration), on_request=count) as client:
        with pytest.raises(ApiUnavailable) as problem:
            await client.get("/api/v1/nodes/n")
    assert isinstance(problem.value, RetryableError)
    assert asked == [("GET", "nodes", 0)]
