"""What does not fit waits, says why, lets others pass, and is admitted when there is room."""

from __future__ import annotations

import pytest

from tests.e2e.manifests import foreign_pod, training_job
from tests.e2e.namespace import Namespace, condition

pytestmark = pytest.mark.usefixtures("operator")


def test_a_gang_too_big_for_the_cluster_says_so_and_blocks_nobody(namespace: Namespace) -> None:
    namespace.submit(training_job("a-huge").pods(64).gpus(8), training_job("b-small").gpus(1))
    namespace.wait_for_phase("b-small", "Succeeded")
    message = namespace.wait_until_refused("a-huge", "ClusterTooSmall")

    assert "needs 64 pods x 8 GPUs" in message
    assert "6 eligible nodes" in message
    assert "largest node 8 GPUs" in message
    assert namespace.wait_for_event("a-huge", "ClusterTooSmall")["message"] == message
    assert namespace.pods("a-huge") == []


def test_a_big_gang_that_waits_blocks_no_small_job(namespace: Namespace) -> None:
    namespace.submit(training_job("a-holds").gpus(4).on_node("v100-0").runs(seconds=600))
    namespace.wait_for_phase("a-holds", "Running")
    namespace.submit(
        training_job("b-big").gpus(8).on_node("v100-0"),
        training_job("c-small").gpus(4).on_node("v100-0"),
    )
    namespace.wait_for_phase("c-small", "Succeeded")
    assert "V100 " in namespace.wait_until_refused("b-big", "WaitingForCapacity")


def test_it_is_admitted_when_capacity_is_freed(namespace: Namespace) -> None:
    namespace.submit(training_job("a-holds").gpus(8).on_node("v100-0").runs(seconds=600))
    namespace.wait_for_phase("a-holds", "Running")
    namespace.submit(training_job("b-waits").gpus(8).on_node("v100-0"))
    message = namespace.wait_until_refused("b-waits", "WaitingForCapacity")
    assert "V100 0 of 8 free" in message

    namespace.delete_job("a-holds")
    job = namespace.wait_for_phase("b-waits", "Succeeded")
    assert (condition(job, "Complete") or {})["status"] == "True"


def test_gpus_of_foreign_pods_are_not_given_away(namespace: Namespace) -> None:
    namespace.kube.create(namespace.pods_path, foreign_pod("notebook", gpus=3, node="a40-0"))
    namespace.wait_for_pods(
        lambda pods: any(pod["status"]["phase"] == "Running" for pod in pods), "the foreign pod runs"
    )
    namespace.submit(training_job("a-waits").gpus(2).on_node("a40-0"), training_job("b-fits").gpus(1).on_node("a40-0"))
    namespace.wait_for_phase("b-fits", "Succeeded")
    assert "A40 1 of 4 free" in namespace.wait_until_refused("a-waits", "WaitingForCapacity")

    namespace.kube.delete(f"{namespace.pods_path}/notebook", gracePeriodSeconds=0)
    namespace.wait_for_phase("a-waits", "Succeeded")


def test_no_node_may_run_it_is_another_reason(namespace: Namespace) -> None:
    namespace.submit(training_job("digits").selects({"example.com/no-such-label": "x"}).gpus(1))
    message = namespace.wait_until_refused("digits", "NoEligibleNode")
    assert "none of" in message
    assert "nodeSelector example.com/no-such-label=x" in message
