"""The operator's service account may do what the operator does, and nothing that would make it dangerous."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.audit import AuditLog
from tests.e2e.kube import Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators

NEEDED = (
    "list trainingjobs.ballast.dev",
    "watch trainingjobs.ballast.dev",
    "patch trainingjobs.ballast.dev/status",
    "list nodes",
    "watch pods",
    "patch pods",
    "create jobs.batch",
    "patch jobs.batch",
    "create services",
    "create events",
)
REFUSED = (
    "get secrets",
    "list secrets",
    "get configmaps",
    "create pods",
    "delete pods",
    "create pods/exec",
    "create pods/binding",
    "patch pods/status",
    "patch nodes",
    "delete nodes",
    "create trainingjobs.ballast.dev",
    "patch trainingjobs.ballast.dev",
    "delete trainingjobs.ballast.dev",
    "delete jobs.batch",
    "delete services",
    "create deployments.apps",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "impersonate users",
    "create serviceaccounts/token",
)


@pytest.fixture
def as_operator(operators: Operators) -> Iterator[Kube]:
    """A client with the operator's rights."""
    with Kube(operators.kubeconfig()) as kube:
        yield kube


def _may(kube: Kube, words: str) -> bool:
    verb, _, what = words.partition(" ")
    name, _, subresource = what.partition("/")
    resource, _, group = name.partition(".")
    attributes = {"verb": verb, "resource": resource, "group": group, "subresource": subresource}
    review = kube.create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, "namespace": "default"}},
        },
    )
    allowed: bool = review["status"]["allowed"]
    return allowed


@pytest.mark.parametrize("words", NEEDED)
def test_it_may(words: str, as_operator: Kube) -> None:
    assert _may(as_operator, words)


@pytest.mark.parametrize("words", REFUSED)
def test_it_may_not(words: str, as_operator: Kube) -> None:
    assert not _may(as_operator, words)


def test_nothing_that_it_asks_for_is_forbidden(namespace: Namespace, operators: Operators, audit: AuditLog) -> None:
    position = audit.position()
    with operators.start() as operator:
        operator.wait_until_ready()
        namespace.submit(
            training_job("gang").pods(2).gpus(4).torchrun().on_node("v100-0"),
            training_job("waits-then-fails").gpus(8).on_node("v100-0").exits(1),
        )
        namespace.wait_for_phase("gang", "Succeeded")
        namespace.wait_for_phase("waits-then-fails", "Failed")
        namespace.wait_for_event("waits-then-fails", "Failed")
        operator.stop()
    asked = [request for request in audit.since(position) if request.by_operator]
    assert {request.verb for request in asked} >= {"list", "watch", "patch", "create"}
    assert [f"{r.verb} {r.resource}: {r.message}" for r in asked if r.code in {401, 403}] == []
