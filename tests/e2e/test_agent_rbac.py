"""An agent writes the status of its own node's NodePower and little else: a stolen token is good for one node."""

from __future__ import annotations

import base64
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.cluster import Cluster
from tests.cluster.helm import rendered
from tests.e2e.bound_tokens import kubeconfig_with, pod_on, token
from tests.e2e.kube import JsonObject, Kube, Refused
from tests.e2e.operators import OPERATOR_NAMESPACE, Operators
from tests.e2e.rights import granted, may

ACCOUNT = "ballast-agent"
OWN, OTHER = "a40-0", "a40-1"
NODE_POWERS = "/apis/ballast.dev/v1alpha1/nodepowers"
REQUESTS = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
BINDINGS = "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings"
POLICY_SECONDS = 60

EVERYWHERE = {
    "list nodepowers.ballast.dev",
    "watch nodepowers.ballast.dev",
    "patch nodepowers.ballast.dev/status",
    "list pods",
    "watch pods",
    "create tokenreviews.authentication.k8s.io",
    "create certificatesigningrequests.certificates.k8s.io",
    "get certificatesigningrequests.certificates.k8s.io",
}
IN_ITS_NAMESPACE = {"get leases.coordination.k8s.io ballast-operator"}
REFUSED = (
    "create nodepowers.ballast.dev",
    "patch nodepowers.ballast.dev",
    "update nodepowers.ballast.dev",
    "delete nodepowers.ballast.dev",
    "patch nodes",
    "patch nodes/status",
    "get pods",
    "create pods",
    "delete pods",
    "patch pods/status",
    "create pods/exec",
    "get secrets",
    "get secrets ballast-agent-ca",
    "list secrets",
    "get configmaps",
    "update leases.coordination.k8s.io ballast-operator",
    "get leases.coordination.k8s.io another",
    "list leases.coordination.k8s.io ballast-operator",
    "update nodepowers.ballast.dev/status",
    "get trainingjobs.ballast.dev",
    "create serviceaccounts/token",
    "impersonate users",
    "list certificatesigningrequests.certificates.k8s.io",
    "update certificatesigningrequests.certificates.k8s.io/approval",
    "approve signers.certificates.k8s.io ballast.dev/agent-serving",
)


@pytest.fixture(autouse=True, scope="module")
def _nobody_operates(operators: Operators) -> None:
    """Else an operator would write NodePowers meanwhile."""
    operators.stop()


@pytest.fixture
def node_powers(kube: Kube) -> Iterator[None]:
    """The NodePowers of two nodes."""
    for node in (OWN, OTHER):
        kube.delete(f"{NODE_POWERS}/{node}")
        kube.create(
            NODE_POWERS, {"apiVersion": "ballast.dev/v1alpha1", "kind": "NodePower", "metadata": {"name": node}}
        )
    yield
    for node in (OWN, OTHER):
        kube.delete(f"{NODE_POWERS}/{node}")


@pytest.fixture
def agent(cluster: Cluster, kube: Kube, tmp_path: Path, _policies_hold: None) -> Iterator[Kube]:
    """A client with the token of an agent's pod on a node."""
    with pod_on(kube, OWN, OPERATOR_NAMESPACE, ACCOUNT) as pod:
        bound = token(cluster, OPERATOR_NAMESPACE, ACCOUNT, pod=pod)
        with Kube(kubeconfig_with(cluster, bound, tmp_path / "agent.kubeconfig")) as client:
            yield client


@pytest.fixture(scope="module")
def _policies_hold(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Wait until the API server goes by the policies: it takes seconds to notice new ones, as after an installation."""
    folder = tmp_path_factory.mktemp("policies")
    with Kube(cluster.kubeconfig) as kube, pod_on(kube, OWN, OPERATOR_NAMESPACE, ACCOUNT) as pod:
        kube.delete(f"{NODE_POWERS}/{OTHER}")
        kube.create(
            NODE_POWERS, {"apiVersion": "ballast.dev/v1alpha1", "kind": "NodePower", "metadata": {"name": OTHER}}
        )
        bound = token(cluster, OPERATOR_NAMESPACE, ACCOUNT, pod=pod)
        with Kube(kubeconfig_with(cluster, bound, folder / "agent.kubeconfig")) as client:
            deadline = time.monotonic() + POLICY_SECONDS
            while not _is_refused(client, OTHER):
                assert time.monotonic() < deadline, f"no policy holds after {POLICY_SECONDS} s"
                time.sleep(0.2)
        kube.delete(f"{NODE_POWERS}/{OTHER}")


def _is_refused(client: Kube, node: str) -> bool:
    try:
        _tell(client, node)
    except Refused as refusal:
        return "ValidatingAdmissionPolicy" in str(refusal)
    return False


def _tell(client: Kube, node: str) -> JsonObject:
    """Write the status of a node's NodePower."""
    return client.merge(f"{NODE_POWERS}/{node}/status", {"status": {"gpuCount": 4, "cappedGpus": 0}})


def test_the_chart_grants_this_and_no_more() -> None:
    chart = rendered()
    assert granted(chart["ClusterRole", ACCOUNT]) == EVERYWHERE
    assert granted(chart["Role", ACCOUNT]) == IN_ITS_NAMESPACE


def test_it_may_what_it_is_granted(agent: Kube) -> None:
    assert [words for words in sorted(EVERYWHERE) if not may(agent, words, "default")] == []
    assert [words for words in sorted(IN_ITS_NAMESPACE) if not may(agent, words, OPERATOR_NAMESPACE)] == []
    assert [words for words in sorted(IN_ITS_NAMESPACE) if may(agent, words, "default")] == []


def test_it_may_nothing_else(agent: Kube) -> None:
    for namespace in ("default", OPERATOR_NAMESPACE):
        assert [words for words in REFUSED if may(agent, words, namespace)] == []


@pytest.mark.usefixtures("node_powers")
def test_it_writes_the_status_of_its_own_node(agent: Kube, kube: Kube) -> None:
    _tell(agent, OWN)
    assert kube.get(f"{NODE_POWERS}/{OWN}")["status"]["gpuCount"] == 4


@pytest.mark.usefixtures("node_powers")
def test_another_nodes_status_is_refused(agent: Kube, kube: Kube) -> None:
    with pytest.raises(Refused, match=f"agent on node {OWN} may not write the NodePower of node {OTHER}") as refusal:
        _tell(agent, OTHER)
    assert refusal.value.status == 403
    assert "gpuCount" not in kube.get(f"{NODE_POWERS}/{OTHER}").get("status", {})


@pytest.mark.usefixtures("node_powers")
def test_a_spec_is_refused(agent: Kube) -> None:
    with pytest.raises(Refused) as refusal:
        agent.merge(f"{NODE_POWERS}/{OWN}", {"spec": {"freeGpus": "Park"}})
    assert refusal.value.status == 403


@pytest.mark.usefixtures("node_powers")
def test_a_spec_is_refused_even_to_an_agent_with_all_rights(agent: Kube, kube: Kube) -> None:
    """A second wall: the policy holds where somebody grants too much."""
    binding = "ballast-test-agent-with-all-rights"
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": OPERATOR_NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"}
    kube.create(BINDINGS, {"metadata": {"name": binding}, "roleRef": role, "subjects": [subject]})
    try:
        told = _refusal_once_it_has(agent, "patch nodepowers.ballast.dev")
        assert "an agent writes the status of its NodePower and nothing else of it" in told
    finally:
        kube.delete(f"{BINDINGS}/{binding}")
        _wait_until_refused(agent, "patch nodepowers.ballast.dev")


@pytest.mark.usefixtures("node_powers")
def test_a_token_that_is_bound_to_no_pod_writes_nothing(cluster: Cluster, tmp_path: Path) -> None:
    unbound = kubeconfig_with(cluster, token(cluster, OPERATOR_NAMESPACE, ACCOUNT), tmp_path / "unbound.kubeconfig")
    with Kube(unbound) as client, pytest.raises(Refused, match="not bound to a pod on a node") as refusal:
        _tell(client, OWN)
    assert refusal.value.status == 403


def test_it_asks_for_certificates_of_its_own_signer_only(agent: Kube, kube: Kube) -> None:
    made = agent.create(REQUESTS, _certificate_request("ballast.dev/agent-serving"))
    try:
        assert made["spec"]["extra"]["authentication.kubernetes.io/node-name"] == [OWN]
    finally:
        kube.delete(f"{REQUESTS}/{made['metadata']['name']}")
    with pytest.raises(Refused, match=r"certificates of the signer ballast\.dev/agent-serving only") as refusal:
        agent.create(REQUESTS, _certificate_request("kubernetes.io/kube-apiserver-client"))
    assert refusal.value.status == 403


def _refusal_once_it_has(client: Kube, words: str) -> str:
    """What a client is told when it writes a spec, once the API server knows of its right."""
    _wait(client, words, allowed=True)
    with pytest.raises(Refused) as refusal:
        client.merge(f"{NODE_POWERS}/{OWN}", {"spec": {"freeGpus": "Park"}})
    assert refusal.value.status == 403
    return refusal.value.message


def _wait_until_refused(client: Kube, words: str) -> None:
    _wait(client, words, allowed=False)


def _wait(client: Kube, words: str, *, allowed: bool) -> None:
    deadline = time.monotonic() + 30
    while may(client, words, "default") is not allowed:
        assert time.monotonic() < deadline
        time.sleep(0.1)


def _certificate_request(signer: str) -> dict[str, Any]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, OWN)])
    request = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    pem = request.public_bytes(serialization.Encoding.PEM)
    return {
        "metadata": {"generateName": "ballast-agent-"},
        "spec": {
            "signerName": signer,
            "usages": ["digital signature", "server auth"],
            "request": base64.b64encode(pem).decode(),
        },
    }
