"""Containers that hold GPUs are found by their own environment, once their program has begun."""

from __future__ import annotations

import shutil

from tests.unit.nvmlsim_node.builders import GPU, OTHER_GPU, POD, FakeNode


def test_a_container_with_gpus_is_found_with_its_pod(node: FakeNode) -> None:
    node.add("trainer", 7)
    node.process(7, PATH="/bin", NVIDIA_VISIBLE_DEVICES=f"{GPU},{OTHER_GPU}")
    (found,) = node.containers.scan()
    assert (found.id, found.pod_uid, found.devices) == ("trainer", POD, (GPU, OTHER_GPU))
    assert found.group.pids() == (7,)


def test_a_container_says_what_it_computes(node: FakeNode) -> None:
    node.add("silent", 7)
    node.process(7, NVIDIA_VISIBLE_DEVICES=GPU)
    node.add("telling", 8, pod="0a1b2c3d-0000-4000-8000-000000000002")
    node.process(8, NVIDIA_VISIBLE_DEVICES=OTHER_GPU, NVMLSIM_WORKLOAD="squad/bert_base_uncased/32/adamw")
    found = {container.id: container.workload for container in node.containers.scan()}
    assert found == {"silent": "", "telling": "squad/bert_base_uncased/32/adamw"}


def test_every_class_of_service_is_looked_at(node: FakeNode) -> None:
    for number, service in enumerate(("", "burstable", "besteffort")):
        pod = f"0a1b2c3d-0000-4000-8000-00000000000{number}"
        node.add(f"of-{number}", number + 1, pod=pod, service=service)
        node.process(number + 1, NVIDIA_VISIBLE_DEVICES=GPU)
    assert {container.id for container in node.containers.scan()} == {"of-0", "of-1", "of-2"}


def test_containers_without_gpus_are_not(node: FakeNode) -> None:
    for number, value in enumerate((None, "", "all", "void", "none"), start=1):
        node.add(f"of-{number}", number)
        node.process(number, PATH="/bin", **({} if value is None else {"NVIDIA_VISIBLE_DEVICES": value}))
    assert node.containers.scan() == []


def test_a_container_that_is_being_made_is_looked_at_again(node: FakeNode) -> None:
    node.add("trainer", 7)
    node.process(7, name="runc:[2:INIT]", PATH="/bin")
    containers = node.containers
    assert containers.scan() == []
    node.process(7, NVIDIA_VISIBLE_DEVICES=GPU)
    assert [container.id for container in containers.scan()] == ["trainer"]


def test_a_container_is_the_same_until_it_is_gone(node: FakeNode) -> None:
    folder = node.add("trainer", 7)
    node.process(7, NVIDIA_VISIBLE_DEVICES=GPU)
    containers = node.containers
    (first,) = containers.scan()
    node.process(7, PATH="/elsewhere")  # what it says of itself later does not count
    assert containers.scan() == [first]
    shutil.rmtree(folder)
    assert containers.scan() == []


def test_a_node_without_pods_has_none(node: FakeNode) -> None:
    assert node.containers.scan() == []
