"""Pods must run where the status says, on nodes that are fit for them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.demo.checks import misplaced
from tests.demo.objects import Node, Place
from tests.unit.demo.builders import A100, H100, REAL, gang_of, gpu_gang, job_of, pod_of, real_gang

GANG = gpu_gang()
NODES = {node.name: node for node in (A100, H100, REAL)}


def test_pods_where_the_status_says_are_well() -> None:
    assert misplaced(GANG, job_of(GANG, A100), gang_of(GANG, A100), NODES) == []


def test_a_pod_elsewhere() -> None:
    pods = [pod_of(GANG, A100, 0), pod_of(GANG, H100, 1)]
    found = misplaced(GANG, job_of(GANG, A100), pods, NODES)
    assert "pod gang-1-1-abcde ran on h100-1, its status says a100-1" in found


def test_a_gang_over_two_gpu_models() -> None:
    places = (Place(node="a100-1", gpu_model="A100", gpus=4), Place(node="h100-1", gpu_model="H100", gpus=4))
    pods = [pod_of(GANG, A100, 0), pod_of(GANG, H100, 1)]
    found = misplaced(GANG, job_of(GANG, A100, places=places), pods, NODES)
    assert found == ["the gang is split over the GPU models A100, H100"]


def test_a_wrong_gpu_model_in_the_status() -> None:
    job = job_of(GANG, A100, places=(Place(node="a100-1", gpu_model="H100", gpus=4),) * 2)
    assert misplaced(GANG, job, gang_of(GANG, A100), NODES)[0] == "node a100-1 has A100, the status says H100"


@pytest.mark.parametrize(
    ("nodes", "problem"),
    [
        ({}, "pod gang-1-0-abcde ran on a100-1, which is gone"),
        ({"a100-1": replace(A100, gpus=2)}, "pod gang-1-0-abcde needs 4 GPUs, its node a100-1 has 2"),
    ],
)
def test_a_node_that_cannot_hold_the_pod(nodes: dict[str, Node], problem: str) -> None:
    assert misplaced(GANG, job_of(GANG, A100), gang_of(GANG, A100), nodes)[0] == problem


def test_a_pod_without_its_gpus() -> None:
    pods = [pod_of(GANG, A100, 0, gpus=0), pod_of(GANG, A100, 1)]
    assert misplaced(GANG, job_of(GANG, A100), pods, NODES) == ["pod gang-1-0-abcde held 0 GPUs instead of 4"]


def test_real_training_on_a_simulated_node() -> None:
    real = real_gang(replicas=1)
    found = misplaced(real, job_of(real, A100), gang_of(real, A100), NODES)
    assert found == ["pod digits-1-0-abcde should train for real and ran on the simulated node a100-1"]
