"""A GPU that is handed out more than once is shared: its holders take turns."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.api_client import wait_until
from tests.cluster.node import RealNode
from tests.integration.nvmlsim.pods import PATIENCE_SECONDS, Pods


@pytest.fixture
def sliced(a40: RealNode, wait_for_allocatable: Callable[[RealNode, int], None]) -> Iterator[RealNode]:
    """A node whose GPUs are each handed out twice."""
    a40.gpus.set_replicas(2)
    wait_for_allocatable(a40, 8)
    yield a40
    a40.gpus.set_replicas(1)
    wait_for_allocatable(a40, 4)


def test_two_pods_share_one_gpu(sliced: RealNode, pods: Pods) -> None:
    first = pods.start("first", sliced, busy=True)
    (shared,) = pods.told("first")["visible"]
    second = pods.start("second", sliced, gpus=7, busy=True)  # all that is left, and so the other half too
    assert sorted(pods.told("second")["visible"]) == sorted(sliced.gpus.uuids)
    quotas = [pods.container(name).group.quota for name in ("first", "second")]
    wait_until(
        lambda: all(quota().cpus < 0.75 * 0.1 for quota in quotas),
        "two containers that take turns",
        timeout_seconds=PATIENCE_SECONDS,
    )
    truth = sliced.gpus.truth(shared)
    assert truth.active_joules[first] > 0
    assert truth.active_joules[second] > 0
    assert truth.idle_joules[first] > 0
    assert truth.idle_joules[second] > 0
