"""A namespace goes with jobs in every phase in it: nothing sticks, and nothing of it is held any more."""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_whole_nodes_are_free, nodes_promised
from tests.e2e.audit import AuditLog, writes_of_operator
from tests.e2e.kube import Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operator_process import OperatorProcess
from tests.e2e.operators import Operators
from tests.e2e.phases import PHASES, bring_to

NODES = dict(zip(PHASES, ("a40-0", "a40-0", "a40-1", "v100-0", "v100-1", "a100-0", "a100-1"), strict=True))
NAMESPACES = "/api/v1/namespaces"
GONE_TIMEOUT_SECONDS = 120.0


@pytest.fixture
def doomed(kube: Kube, operators: Operators, namespace: Namespace) -> Namespace:
    """Another namespace, which the test deletes."""
    return Namespace(kube, f"{namespace.name[:55]}-doomed", operators.log_tail)


@pytest.mark.slow
def test_with_jobs_in_every_phase(
    doomed: Namespace, namespace: Namespace, operator: OperatorProcess, audit: AuditLog
) -> None:
    with doomed:
        for phase in ("Queued", "Placing", "Running", "Suspended", "Succeeded", "Failed"):
            bring_to(phase, doomed, phase.lower(), NODES[phase])
        bring_to("Suspending", doomed, "suspending", NODES["Suspending"], ends_in=10)
        used = nodes_promised(doomed.history(doomed.jobs_path, doomed.since))
        assert len(used) == 6
        doomed.kube.delete(f"{NAMESPACES}/{doomed.name}")
        namespace.wait(NAMESPACES, doomed.name, lambda found: not found, "the namespace is gone", GONE_TIMEOUT_SECONDS)
    assert_whole_nodes_are_free(namespace, used)
    # What it was refused there it has not tried again and again.
    tried = [request for request in audit.about(doomed.name) if request.by_operator and request.is_write]
    assert len(tried) <= 2 * len(writes_of_operator(tried, doomed.name)) + 10
    assert "Traceback" not in operator.log_text()


@pytest.mark.slow
def test_that_is_made_again_at_once(
    doomed: Namespace, namespace: Namespace, operator: OperatorProcess, audit: AuditLog
) -> None:
    with doomed:
        bring_to("Running", doomed, "gang", "a40-0")
        doomed.kube.delete(f"{NAMESPACES}/{doomed.name}")
        namespace.wait(NAMESPACES, doomed.name, lambda found: not found, "the namespace is gone", GONE_TIMEOUT_SECONDS)
    with doomed:
        doomed.submit(training_job("gang").pods(2).gpus(2).torchrun().on_node("a40-0"))
        status = doomed.wait_for_phase("gang", "Succeeded")["status"]
        assert [attempt["number"] for attempt in status["attempts"]] == [1]
    assert operator.running
