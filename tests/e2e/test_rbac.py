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
from tests.e2e.rights import granted, in_group, may
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
    "patch nodes",
    "patch nodes/status",
    "list nodepowers.ballast.dev",
    "watch nodepowers.ballast.dev",
    "create nodepowers.ballast.dev",
    "patch nodepowers.ballast.dev",
    "list energyprofiles.ballast.dev",
    "watch energyprofiles.ballast.dev",
    "create energyprofiles.ballast.dev",
    "patch energyprofiles.ballast.dev",
    "patch energyprofiles.ballast.dev/status",
    "list certificatesigningrequests.certificates.k8s.io",
    "watch certificatesigningrequests.certificates.k8s.io",
    "update certificatesigningrequests.certificates.k8s.io/approval",
    "update certificatesigningrequests.certificates.k8s.io/status",
    "approve signers.certificates.k8s.io ballast.dev/agent-serving",
    "sign signers.certificates.k8s.io ballast.dev/agent-serving",
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
    "get secrets ballast-agent-ca",
    "patch secrets ballast-agent-ca",
}
#: Rights that an ordinary day does not show, and when they are used.
RARE = {
    "get trainingjobs.ballast.dev": "the answer to an admission was lost",
    "get jobs.batch": "another's Job has the name of an attempt",
    "list events": "a Job has no pods, and its events say why",
    "update trainingjobs.ballast.dev/finalizers": "an admission plugin asks, for references that block deletion",
    "approve signers.certificates.k8s.io ballast.dev/agent-serving": "no request: looked up when one is approved",
    "sign signers.certificates.k8s.io ballast.dev/agent-serving": "no request: looked up when one is signed",
}
#: Rights that are used or not, by what other tests and their agents have left.
OF_AGENTS = {
    "create nodepowers.ballast.dev": "a node has no NodePower yet",
    "patch nodepowers.ballast.dev": "a node has no NodePower yet, or something else is asked of its GPUs",
    "patch nodes": "an agent has told what it found, or what was found there is no longer true",
    "patch nodes/status": "a node has been empty for a while, or is no longer",
    "create energyprofiles.ballast.dev": "a job on an agent's GPUs was measured for the first time",
    "patch energyprofiles.ballast.dev": "a job on an agent's GPUs was measured again",
    "patch energyprofiles.ballast.dev/status": "a job on an agent's GPUs was measured",
    "update certificatesigningrequests.certificates.k8s.io/approval": "an agent asks for a certificate",
    "update certificatesigningrequests.certificates.k8s.io/status": "an agent asks for a certificate",
    "patch secrets ballast-agent-ca": "the chart has made it, or it nears its end",
}
REFUSED = (
    "get secrets",
    "list secrets",
    "get configmaps",
    "delete pods",
    "create pods/exec",
    "create pods/binding",
    "patch pods/status",
    "update nodes",
    "delete nodes",
    "delete nodepowers.ballast.dev",
    "patch nodepowers.ballast.dev/status",
    "delete energyprofiles.ballast.dev",
    "update energyprofiles.ballast.dev",
    "create certificatesigningrequests.certificates.k8s.io",
    "sign signers.certificates.k8s.io kubernetes.io/kube-apiserver-client",
    "approve signers.certificates.k8s.io kubernetes.io/kube-apiserver-client",
    "create tokenreviews.authentication.k8s.io",
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
    "nodepowers": "ballast.dev",
    "energyprofiles": "ballast.dev",
    "certificatesigningrequests": "certificates.k8s.io",
    "signers": "certificates.k8s.io",
}


@pytest.fixture
def as_operator(operators: Operators) -> Iterator[Kube]:
    """A client with the operator's rights."""
    with Kube(operators.kubeconfig()) as kube:
        yield kube


def _is_for(binding: dict[str, Any], account: str) -> bool:
    return account in {subject["name"] for subject in binding["subjects"]}


def test_the_chart_grants_this_and_no_more() -> None:
    chart = rendered()
    assert granted(chart["ClusterRole", "ballast-operator"]) == EVERYWHERE
    assert granted(chart["Role", "ballast-operator"]) == IN_ITS_NAMESPACE
    for kind in ("ClusterRoleBinding", "RoleBinding"):
        bindings = [found for (each, _), found in chart.items() if each == kind]
        [binding] = [each for each in bindings if _is_for(each, "ballast-operator")]
        assert binding["roleRef"]["name"] == "ballast-operator"


@pytest.mark.parametrize("words", sorted(EVERYWHERE))
def test_it_may_everywhere(words: str, as_operator: Kube) -> None:
    assert may(as_operator, words, "default")


@pytest.mark.parametrize("words", sorted(IN_ITS_NAMESPACE))
def test_it_may_in_its_own_namespace_only(words: str, as_operator: Kube) -> None:
    assert may(as_operator, words, OPERATOR_NAMESPACE)
    assert not may(as_operator, words, "default")


@pytest.mark.parametrize("words", REFUSED)
@pytest.mark.parametrize("namespace_name", ["default", OPERATOR_NAMESPACE])
def test_it_may_not(words: str, namespace_name: str, as_operator: Kube) -> None:
    assert not may(as_operator, words, namespace_name)


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
    rights = EVERYWHERE | IN_ITS_NAMESPACE
    assert rights - _used(asked, rights) - set(OF_AGENTS) == set(RARE)


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


def _used(asked: Iterable[Request], rights: set[str]) -> set[str]:
    """The rights that requests made use of."""
    used = set()
    for request in asked:
        plural, _, _ = request.resource.partition("/")
        resource = in_group(request.resource, GROUPS.get(plural, ""))
        # A server-side apply that makes an object needs the right to create it, too.
        for verb in {request.verb, "create" if request.code == 201 else request.verb}:
            used |= {f"{verb} {resource}", f"{verb} {resource} {request.name}"} & rights
    return used


def _wait_until_gone(kube: Kube, path: str) -> None:
    _wait(lambda: kube.find(path) is None)


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
