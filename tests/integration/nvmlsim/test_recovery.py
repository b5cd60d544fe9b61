"""Whatever of a node dies, its GPUs are handed out again, and what was true stays true."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.cluster.api_client import wait_until
from tests.cluster.node import RealNode
from tests.integration.nvmlsim.pods import PATIENCE_SECONDS, Pods
from tests.nvmlsim.faults import Fault


@pytest.fixture
def mended(a40: RealNode, wait_for_allocatable: Callable[[RealNode, int], None]) -> Iterator[RealNode]:
    """A node whose faults are cleared afterwards."""
    yield a40
    a40.gpus.clear_faults()
    wait_for_allocatable(a40, 4)


def registrations(node: RealNode) -> int:
    return node.log_files()[f"{node.name}/gpus"].read_text().count("registered with the kubelet")


def test_a_lost_gpu_is_not_handed_out(mended: RealNode, wait_for_allocatable: Callable[[RealNode, int], None]) -> None:
    mended.gpus.inject(mended.gpus.uuids[2], Fault.lost())
    wait_for_allocatable(mended, 3)


def test_a_killed_daemon_goes_on_where_it_was(
    pods: Pods, v100: RealNode, wait_for_allocatable: Callable[[RealNode, int], None]
) -> None:
    uid = pods.start("held", v100, busy=True)
    (uuid,) = pods.told("held")["visible"]
    wait_until(lambda: v100.gpus.truth(uuid).active_joules.get(uid, 0) > 1, "work", timeout_seconds=PATIENCE_SECONDS)
    before, known = v100.gpus.truth(uuid).active_joules[uid], registrations(v100)
    v100.kill_program("gpus")
    wait_until(lambda: registrations(v100) > known, "a registered plugin", timeout_seconds=PATIENCE_SECONDS)
    wait_until(
        lambda: v100.gpus.truth(uuid).active_joules[uid] > before + 1, "more work", timeout_seconds=PATIENCE_SECONDS
    )
    wait_for_allocatable(v100, 4)


def test_a_restarted_kubelet_gets_them_again(
    pods: Pods, v100: RealNode, wait_for_allocatable: Callable[[RealNode, int], None]
) -> None:
    known = registrations(v100)
    v100.kill_program("kubelet")
    wait_until(lambda: registrations(v100) > known, "a registered plugin", timeout_seconds=PATIENCE_SECONDS)
    wait_for_allocatable(v100, 4)
    pods.start("after", v100)
    assert pods.told("after")["power"] == 0
