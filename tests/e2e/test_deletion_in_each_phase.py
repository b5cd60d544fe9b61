"""A TrainingJob may be deleted in any phase and in each way that Kubernetes has: it goes, and all that is its own."""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.evidence import ends_of_pods, first_version
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, phase
from tests.e2e.phases import PHASES, bring_to

NODE = "a40-0"

pytestmark = pytest.mark.usefixtures("operator")


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
@pytest.mark.parametrize("in_phase", PHASES)
def test_everything_goes(in_phase: str, propagation: str, namespace: Namespace, audit: AuditLog) -> None:
    bring_to(in_phase, namespace, "gang", NODE)
    namespace.kube.delete(f"{namespace.jobs_path}/gang", propagationPolicy=propagation)
    namespace.wait_until_gone()
    assert_nothing_left(namespace, audit)


@pytest.mark.parametrize("propagation", ["Background", "Foreground"])
def test_its_gpus_are_free_when_its_pods_are_gone(propagation: str, namespace: Namespace, audit: AuditLog) -> None:
    bring_to("Running", namespace, "gang", NODE, ends_in=4)
    namespace.submit(training_job("next").gpus(4).on_node(NODE).runs(seconds=600))
    namespace.wait_until_refused("next", "WaitingForCapacity")
    namespace.kube.delete(f"{namespace.jobs_path}/gang", propagationPolicy=propagation)
    namespace.wait_for_phase("next", "Running")

    jobs = namespace.history(namespace.jobs_path, namespace.since)
    ended = ends_of_pods(namespace.history(namespace.pods_path, namespace.since), "gang-")
    assert len(ended) == 2
    assert max(ended) < first_version(jobs, "next", lambda _, job: phase(job) == "Placing")
    assert_nothing_left(namespace, audit)


@pytest.mark.parametrize("in_phase", ["Placing", "Running", "Suspending", "Succeeded"])
def test_one_made_at_once_with_its_name_is_another(in_phase: str, namespace: Namespace, audit: AuditLog) -> None:
    first = bring_to(in_phase, namespace, "gang", NODE)
    namespace.delete_job("gang")
    namespace.submit(training_job("gang").pods(2).gpus(2).torchrun().on_node("a40-1").runs(seconds=2))
    second = namespace.wait_for_phase("gang", "Succeeded")
    assert second["metadata"]["uid"] != first["metadata"]["uid"]
    assert [attempt["number"] for attempt in second["status"]["attempts"]] == [1]
    assert_nothing_left(namespace, audit)
