"""What the operator's service account may do is what the operator does: each right is used, or says for what it is."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pytest

from tests.cluster.helm import rendered
from tests.e2e.audit import AuditLog, Request
from tests.e2e.kube import Kube
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operator_process import free_port
from tests.e2e.operators import OPERATOR_NAMESPACE, Operators
from tests.integration.webhook.beside import SECRET, WebhookBeside, configure, remove

EVERYWHERE = {
    "get trainingjobs.ballast.dev",
    "list trainingjobs.ballast.dev",
    "watch trainingjobs.ballast.dev",
    "delete trainingjobs.ballast.dev",
    "patch trainingjobs.ballast.dev/status",
    "update trainingjobs.ballast.dev/finalizers",
    "list nodes",
    "watch nodes",
    "list pods",
    "watch pods",
    "patch pods",
    "create pods",
    "get jobs.batch",
    "list jobs.batch",
    "watch jobs.batch",
    "create jobs.batch",
    "patch jobs.batch",
    "delete jobs.batch",
    "create services",
    "patch services",
    "create events",
    "list events",
    "list priorityclasses.scheduling.k8s.io",
    "watch priorityclasses.scheduling.k8s.io",
    "list resourcequotas",
    "get persistentvolumeclaims",
    "get validatingwebhookconfigurations.admissionregistration.k8s.io ballast",
    "patch validatingwebhookconfigurations.admissionregistration.k8s.io ballast",
}
IN_ITS_NAMESPACE = {
    "create leases.coordination.k8s.io",
    "get leases.coordination.k8s.io ballast-operator",
    "update leases.coordination.k8s.io ballast-operator",
    "create secrets",
    "get secrets ballast-webhook",
    "patch secrets ballast-webhook",
}
#: Rights that an ordinary day does not show, and when they are used.
RARE = {
    "get trainingjobs.ballast.dev": "the answer to an admission was lost",
    "get jobs.batch": "another's Job has the name of an attempt",
    "list events": "a Job has no pods, and its events say why",
    "update trainingjobs.ballast.dev/finalizers": "an admission plugin asks, for references that block deletion",
}
REFUSED = (
    "get secrets",
    "list secrets",
    "get configmaps",
    "delete pods",
    "create pods/exec",
    "create pods/binding",
    "patch pods/status",
    "patch nodes",
    "delete nodes",
    "create trainingjobs.ballast.dev",
    "patch trainingjobs.ballast.dev",
    "delete services",
    "create deployments.apps",
    "create clusterrolebindings.rbac.authorization.k8s.io",
    "patch validatingwebhookconfigurations.admissionregistration.k8s.io another",
    "delete validatingwebhookconfigurations.admissionregistration.k8s.io ballast",
    "impersonate users",
    "create serviceaccounts/token",
)
GROUPS = {
    "trainingjobs": "ballast.dev",
    "jobs": "batch",
    "priorityclasses": "scheduling.k8s.io",
    "validatingwebhookconfigurations": "admissionregistration.k8s.io",
    "leases": "coordination.k8s.io",
}


@pytest.fixture
def as_operator(operators: Operators) -> Iterator[Kube]:
    """A client with the operator's rights."""
    with Kube(operators.kubeconfig()) as kube:
        yield kube


def _may(kube: Kube, words: str, namespace: str) -> bool:
    verb, what, *names = words.split(" ")
    resource, _, subresource = what.partition("/")
    plural, _, group = resource.partition(".")
    attributes = {"verb": verb, "resource": plural, "group": group, "subresource": subresource, "namespace": namespace}
    review = kube.create(
        "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews",
        {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": {**attributes, "name": "".join(names)}},
        },
    )
    allowed: bool = review["status"]["allowed"]
    return allowed


def _granted(role: dict[str, Any]) -> set[str]:
    """A role's rights in the words of this module."""
    return {
        " ".join([verb, _resource(resource, group), *([name] if name else [])])
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
        for name in rule.get("resourceNames") or [""]
    }


def _resource(resource: str, group: str) -> str:
    plural, slash, subresource = resource.partition("/")
    return plural + (f".{group}" if group else "") + slash + subresource


def test_the_chart_grants_this_and_no_more() -> None:
    chart = rendered()
    assert _granted(chart["ClusterRole", "ballast-operator"]) == EVERYWHERE
    assert _granted(chart["Role", "ballast-operator"]) == IN_ITS_NAMESPACE
    assert [kind for kind, _ in chart if kind.endswith("RoleBinding")] == ["ClusterRoleBinding", "RoleBinding"]


@pytest.mark.parametrize("words", sorted(EVERYWHERE))
def test_it_may_everywhere(words: str, as_operator: Kube) -> None:
    assert _may(as_operator, words, "default")


@pytest.mark.parametrize("words", sorted(IN_ITS_NAMESPACE))
def test_it_may_in_its_own_namespace_only(words: str, as_operator: Kube) -> None:
    assert _may(as_operator, words, OPERATOR_NAMESPACE)
    assert not _may(as_operator, words, "default")


@pytest.mark.parametrize("words", REFUSED)
@pytest.mark.parametrize("namespace_name", ["default", OPERATOR_NAMESPACE])
def test_it_may_not(words: str, namespace_name: str, as_operator: Kube) -> None:
    assert not _may(as_operator, words, namespace_name)


def test_what_it_asks_for_is_granted_and_what_is_granted_it_asks_for(
    namespace: Namespace, operators: Operators, audit: AuditLog, kube: Kube, monkeypatch: pytest.MonkeyPatch
) -> None:
    position = audit.position()
    with operators.start() as operator:
        operator.wait_until_ready()
        namespace.submit(
            training_job("gang").pods(2).gpus(4).torchrun().on_node("v100-0").spec(ttlSecondsAfterFinished=1),
            training_job("fails").gpus(8).on_node("v100-0").exits(1).spec(retryLimit=0),
            training_job("is-suspended").gpus(1).on_node("v100-1").runs(seconds=600),
        )
        namespace.wait_for_phase("fails", "Failed")
        namespace.wait_for_event("fails", "Failed")
        namespace.wait_for_phase("is-suspended", "Running")
        namespace.edit("is-suspended", suspend=True)
        namespace.wait_for_phase("is-suspended", "Suspended")
        _wait_until_gone(kube, f"{namespace.jobs_path}/gang")
        _review(namespace, operators, kube, monkeypatch)
        operator.stop()
    asked = [request for request in audit.since(position) if request.by_operator]
    assert [f"{r.verb} {r.resource}: {r.message}" for r in asked if r.code in {401, 403}] == []
    granted = EVERYWHERE | IN_ITS_NAMESPACE
    assert granted - _used(asked, granted) == set(RARE)


def _review(namespace: Namespace, operators: Operators, kube: Kube, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the webhook review a job with a volume, and renew its certificate."""
    monkeypatch.setenv("KUBECONFIG", str(operators.kubeconfig()))
    volume = {"name": "data", "persistentVolumeClaim": {"claimName": "data"}}
    port = free_port()
    remove(kube)
    configure(kube, port)
    try:
        with WebhookBeside(port, certificate_seconds=4, refresh_seconds=0.5) as webhook:
            _wait(lambda: kube.find(SECRET) is not None)
            made = kube.get(SECRET)["data"]
            _wait(lambda: kube.get(SECRET)["data"] != made)
            namespace.submit(training_job("reviewed").gpus(64).pod(volumes=[volume]))
            assert webhook.reviews == ["allowed"]
    finally:
        remove(kube)


def _used(asked: Iterable[Request], granted: set[str]) -> set[str]:
    """The rights that requests made use of."""
    used = set()
    for request in asked:
        plural, _, _ = request.resource.partition("/")
        resource = _resource(request.resource, GROUPS.get(plural, ""))
        # A server-side apply that makes an object needs the right to create it, too.
        for verb in {request.verb, "create" if request.code == 201 else request.verb}:
            used |= {f"{verb} {resource}", f"{verb} {resource} {request.name}"} & granted
    return used


def _wait_until_gone(kube: Kube, path: str) -> None:
    _wait(lambda: kube.find(path) is None)


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
