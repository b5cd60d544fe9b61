"""ResourceQuota and LimitRange refuse or enlarge an admitted gang's pods: it says so, and goes on when they let it."""

from __future__ import annotations

import pytest

from tests.e2e.aftermath import assert_nothing_left
from tests.e2e.audit import AuditLog
from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, nodes_of

NODE = "a40-1"
A40 = {"nvidia.com/gpu.product": "NVIDIA-A40"}

pytestmark = pytest.mark.usefixtures("hasty_operator")


def _quota(**hard: str) -> JsonObject:
    return {"metadata": {"name": "team"}, "spec": {"hard": {name.replace("_", "/"): n for name, n in hard.items()}}}


def _limits(**limits: JsonObject) -> JsonObject:
    return {"metadata": {"name": "team"}, "spec": {"limits": [{"type": "Container", **limits}]}}


def _path(namespace: Namespace, kind: str) -> str:
    return f"/api/v1/namespaces/{namespace.name}/{kind}"


@pytest.mark.slow
def test_a_quota(namespace: Namespace, audit: AuditLog) -> None:
    quotas = _path(namespace, "resourcequotas")
    namespace.kube.create(quotas, _quota(**{"requests.nvidia.com_gpu": "3"}))
    namespace.wait(quotas, "team", lambda found: "hard" in found[0].get("status", {}), "the quota is in force")
    namespace.submit(training_job("gang").pods(2).gpus(2).on_node(NODE))
    message = namespace.wait_until_refused("gang", "PodsRefused")
    assert "1 of 2 pods cannot be created" in message
    assert "exceeded quota: team" in message
    assert "exceeded quota" in namespace.wait_for_event("gang", "PodsRefused")["message"]
    job = namespace.job("gang")
    assert job["status"].get("failures", 0) == 0
    assert namespace.pods("gang") == [], "half a gang was kept"

    namespace.kube.delete(f"{quotas}/team")
    namespace.wait_for_phase("gang", "Succeeded")
    assert_nothing_left(namespace, audit)


@pytest.mark.slow
@pytest.mark.parametrize(("bound", "amount"), [("max", "50m"), ("min", "1")])
def test_a_limit_range(bound: str, amount: str, namespace: Namespace, audit: AuditLog) -> None:
    limit_ranges = _path(namespace, "limitranges")
    namespace.kube.create(limit_ranges, _limits(**{bound: {"cpu": amount}}))
    job = training_job("digits").gpus(1).on_node(NODE)
    if bound == "max":
        job.trainer(resources={"limits": {"nvidia.com/gpu": "1", "cpu": "100m"}})
    namespace.submit(job)
    message = namespace.wait_until_refused("digits", "PodsRefused")
    assert f"{bound}imum cpu usage per Container is {amount}" in message

    namespace.kube.delete(f"{limit_ranges}/team")
    namespace.wait_for_phase("digits", "Succeeded")
    assert_nothing_left(namespace, audit)


def test_defaults_that_make_pods_larger_than_what_is_reserved(namespace: Namespace, audit: AuditLog) -> None:
    # 1 Ti of memory on a node: both pods fit as their template is, one of them as it becomes.
    namespace.kube.create(_path(namespace, "limitranges"), _limits(defaultRequest={"memory": "600Gi"}))
    namespace.submit(training_job("gang").pods(2).gpus(2).selects(A40))
    job = namespace.wait_for_phase("gang", "Succeeded")
    first, second = job["status"]["attempts"]
    assert (first["outcome"], first["reason"]) == ("RolledBack", "CapacityTaken")
    assert "made larger than their template" in first["message"]
    assert second["outcome"] == "Succeeded"
    assert sorted(nodes_of(job)) == ["a40-0", "a40-1"]
    assert_nothing_left(namespace, audit)


def test_defaults_too_large_for_any_node_and_lifted(namespace: Namespace, audit: AuditLog) -> None:
    limit_ranges = _path(namespace, "limitranges")
    namespace.kube.create(limit_ranges, _limits(defaultRequest={"memory": "2Ti"}))
    namespace.submit(training_job("digits").gpus(1).on_node(NODE))
    namespace.wait_until_refused("digits", "ClusterTooSmall")
    namespace.kube.delete(f"{limit_ranges}/team")
    namespace.wait_for_phase("digits", "Succeeded")
    assert_nothing_left(namespace, audit)
