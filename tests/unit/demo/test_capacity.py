"""No node may ever have lent more GPUs than it has."""

from __future__ import annotations

from tests.demo.checks import overfull
from tests.unit.demo.builders import A100, H100, gpu_gang, pod_of

NODES = {node.name: node for node in (A100, H100)}
HALF, WHOLE = gpu_gang(name="half"), gpu_gang(name="whole", gpus_per_pod=8)


def test_a_node_that_is_exactly_full() -> None:
    assert overfull([pod_of(HALF, A100, 0), pod_of(HALF, A100, 1)], NODES) == []


def test_a_node_that_is_too_full() -> None:
    pods = [pod_of(WHOLE, A100, 0), pod_of(HALF, A100, 1, scheduled_at=129.0)]
    assert overfull(pods, NODES) == ["node a100-1 has 8 GPUs, its pods held 12 at one time"]


def test_pods_on_two_nodes_do_not_add_up() -> None:
    assert overfull([pod_of(WHOLE, A100, 0), pod_of(WHOLE, H100, 0)], NODES) == []


def test_one_pod_after_another_within_a_second() -> None:
    pods = [pod_of(WHOLE, A100, 0), pod_of(WHOLE, A100, 1, scheduled_at=130.0, finished_at=150.0)]
    assert overfull(pods, NODES) == []


def test_a_pod_that_has_not_ended_keeps_its_gpus() -> None:
    pods = [pod_of(WHOLE, A100, 0, finished_at=None), pod_of(WHOLE, A100, 1, scheduled_at=500.0, finished_at=510.0)]
    assert overfull(pods, NODES) == ["node a100-1 has 8 GPUs, its pods held 16 at one time"]


def test_a_node_that_nobody_knows_has_no_gpus() -> None:
    assert overfull([pod_of(HALF, A100, 0)], {}) == ["node a100-1 has 0 GPUs, its pods held 4 at one time"]
