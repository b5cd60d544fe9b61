"""Why a pod does not start, as the cluster says it: what matters stands first in kube-scheduler's sentence."""

from __future__ import annotations

import pytest

from ballast.api import exporter
from ballast.decide.snapshot import Stuck
from ballast.observe.parsing import training_pod
from tests.builders import pod

UNSCHEDULABLE = (
    "0/6 nodes are available: 1 node(s) didn't have free ports for the requested pod ports, 5 node(s) didn't satisfy "
    "plugin(s) [NodeAffinity]. no new claims to deallocate, preemption: 0/6 nodes are available: 1 No preemption "
    "victims found for incoming pod, 5 Preemption is not helpful for scheduling."
)


def test_what_does_not_fit_is_told_of_a_pod_that_is_not_scheduled() -> None:
    stuck = pod(0).unschedulable(UNSCHEDULABLE).build().stuck
    assert stuck is not None
    assert stuck.reason == "Unschedulable"
    assert stuck.message.startswith("0/6 nodes are available: 1 node(s) didn't have free ports")
    assert len(stuck.message) <= 200
    assert not stuck.by_itself


def test_an_image_is_the_pods_own_fault() -> None:
    stuck = pod(0).waiting_for("ImagePullBackOff", "Back-off pulling image").build().stuck
    assert stuck is not None
    assert (stuck.reason, stuck.message, stuck.by_itself) == ("ImagePullBackOff", "Back-off pulling image", True)


def test_a_pod_behind_a_gate_is_not_stuck() -> None:
    assert pod(0).gated().build().stuck is None


@pytest.mark.parametrize("reason", ["ImagePullBackOff", "CreateContainerError", "CrashLoopBackOff"])
def test_an_exporter_that_does_not_start_is_not_the_jobs_fault_and_is_named(reason: str) -> None:
    stuck = _stuck("initContainerStatuses", exporter.CONTAINER, reason)
    assert stuck is not None
    assert (stuck.reason, stuck.by_itself) == (reason, False)
    assert stuck.message == 'container ballast-exporter: Back-off pulling image "exporter:1"'


def test_a_trainer_that_does_not_start_is() -> None:
    stuck = _stuck("containerStatuses", "trainer", "CreateContainerError")
    assert stuck is not None
    assert stuck.by_itself
    assert _stuck("initContainerStatuses", "own", "CrashLoopBackOff") is None
    assert _stuck("initContainerStatuses", exporter.CONTAINER, "ContainerCreating") is None


def _stuck(statuses: str, container: str, reason: str) -> Stuck | None:
    manifest = pod(0).on("a").manifest()
    waiting = {"reason": reason, "message": 'Back-off pulling image "exporter:1"'}
    manifest["status"] = {"phase": "Pending", statuses: [{"name": container, "state": {"waiting": waiting}}]}
    return training_pod(manifest).stuck
