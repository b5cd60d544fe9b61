"""A TrainingJob that is deleted at any point of its life takes everything with it."""

from __future__ import annotations

import pytest

from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators


def test_while_queued(namespace: Namespace, operators: Operators) -> None:
    operators.shared()
    namespace.submit(training_job("huge").pods(64).gpus(8))
    namespace.wait_until_refused("huge", "ClusterTooSmall")
    namespace.delete_job("huge")
    namespace.wait_until_gone()


@pytest.mark.parametrize("failpoint", ["after:status.Admit", "after:service", "after:job", "after:ungate"])
def test_while_placing_and_without_an_operator(failpoint: str, namespace: Namespace, operators: Operators) -> None:
    operators.stop()
    namespace.submit(training_job("gang").pods(2).gpus(4).torchrun().on_node("v100-0").runs(seconds=600))
    with operators.start(failpoint=failpoint) as doomed:
        doomed.wait_until_dead()
    assert namespace.job("gang")["status"]["phase"] == "Placing"
    namespace.delete_job("gang")

    with operators.start() as successor:
        successor.wait_until_ready()
        namespace.wait_until_gone()
        namespace.submit(training_job("next").gpus(8).on_node("v100-0"))
        namespace.wait_for_phase("next", "Succeeded")  # nothing is reserved for the dead


def test_while_running(namespace: Namespace, operators: Operators) -> None:
    operators.shared()
    namespace.submit(training_job("gang").pods(2).gpus(4).torchrun().on_node("v100-0").runs(seconds=600))
    namespace.wait_for_phase("gang", "Running")
    namespace.delete_job("gang")
    namespace.wait_until_gone()


def test_a_new_job_of_the_same_name_is_another_job(namespace: Namespace, operators: Operators) -> None:
    operators.shared()
    namespace.submit(training_job("digits").gpus(8).on_node("v100-0").runs(seconds=600))
    first = namespace.wait_for_phase("digits", "Running")
    namespace.delete_job("digits")
    namespace.wait_for_pods(lambda pods: not pods, "the first one's pods are gone")
    namespace.submit(training_job("digits").gpus(8).on_node("v100-0"))
    second = namespace.wait_for_phase("digits", "Succeeded")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert [attempt["number"] for attempt in second["status"]["attempts"]] == [1]
