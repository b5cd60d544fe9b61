"""What runs before a release goes, with exactly the rights that the chart lends it, against a real API server.

An operator of two pods on a simulated node, NodePowers of two nodes, and a thread that stands for their agents.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from ballast.api.finalreading import FINALIZER
from ballast.api.labels import EMPTY, EMPTY_CONDITION, JOB_UID_LABEL
from ballast.kube import KubeClient
from ballast.uninstall import uninstall
from tests.cluster import Cluster
from tests.cluster.gpu_nodes import KWOK_LABEL, KWOK_TAINT
from tests.cluster.helm import rendered
from tests.e2e.bound_tokens import kubeconfig_with, token
from tests.e2e.kube import JsonObject, Kube, Refused
from tests.e2e.namespace import Namespace
from tests.e2e.operators import OPERATOR_NAMESPACE, Operators
from tests.e2e.rights import granted, may

ACCOUNT = "ballast-uninstall"
NODES = ("a40-0", "a40-1")
OTHERS = "example.com/other"
NODE_POWERS = "/apis/ballast.dev/v1alpha1/nodepowers"
DEPLOYMENTS = f"/apis/apps/v1/namespaces/{OPERATOR_NAMESPACE}/deployments"
SECRETS = f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/secrets"
RIGHTS = {
    "list nodepowers.ballast.dev",
    "patch nodepowers.ballast.dev",
    "delete nodepowers.ballast.dev",
    "list nodes",
    "patch nodes/status",
    "list pods",
    "patch pods",
}
RIGHTS_IN_ITS_NAMESPACE = {
    "patch deployments.apps/scale ballast-operator",
    "get secrets ballast-webhook",
    "delete secrets ballast-webhook",
}


class Agents(threading.Thread):
    """Says of each NodePower what an agent would: as many GPUs are capped as pods have an operating point.

    Attributes:
        deaf: Nodes whose agents say nothing any more.
    """

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(name="agents")
        self._kubeconfig = kubeconfig
        self._ended = threading.Event()
        self.deaf: set[str] = set()

    def run(self) -> None:
        with Kube(self._kubeconfig) as kube:
            while not self._ended.wait(0.1):
                for each in kube.list(NODE_POWERS):
                    if each["metadata"]["name"] not in self.deaf:
                        _tell(kube, each)

    def stop(self) -> None:
        self._ended.set()
        self.join()


def _tell(kube: Kube, node_power: JsonObject) -> None:
    status = {
        "observedGeneration": node_power["metadata"]["generation"],
        "cappedGpus": len(node_power.get("spec", {}).get("pods", [])),
    }
    if node_power.get("status") == status:
        return
    try:
        kube.merge(f"{NODE_POWERS}/{node_power['metadata']['name']}/status", {"status": status})
    except Refused as error:
        if error.status != 404:  # gone meanwhile
            raise


@pytest.fixture
def agents(cluster: Cluster, kube: Kube, operators: Operators) -> Iterator[Agents]:
    """Two nodes with a capped GPU each, and their agents."""
    operators.stop()
    kube.delete(NODE_POWERS)  # of other tests' operators
    for name in NODES:
        pod = {"uid": "8f1c5f4e-0000-4000-8000-000000000001", "operatingPoint": {"powerLimitWatts": 150}}
        manifest = {"apiVersion": "ballast.dev/v1alpha1", "kind": "NodePower", "metadata": {"name": name}}
        kube.create(NODE_POWERS, {**manifest, "spec": {"pods": [pod], "freeGpus": "Park"}})
    agents = Agents(cluster.kubeconfig)
    agents.start()
    try:
        _wait(lambda: all(each.get("status", {}).get("cappedGpus") for each in kube.list(NODE_POWERS)))
        yield agents
    finally:
        agents.stop()
        for name in NODES:
            kube.delete(f"{NODE_POWERS}/{name}")


@pytest.fixture
def operator(cluster: Cluster, kube: Kube) -> Iterator[None]:
    """The operator's Deployment with two pods, and the Secret that it made."""
    labels = {"app.kubernetes.io/name": "ballast", "app.kubernetes.io/component": "operator"}
    pod = {
        "nodeSelector": dict([KWOK_LABEL]),
        "tolerations": [{"key": KWOK_TAINT["key"], "operator": "Exists"}],
        "containers": [{"name": "operator", "image": "example.com/operator:1"}],
    }
    spec = {
        "replicas": 2,
        "selector": {"matchLabels": labels},
        "template": {"metadata": {"labels": labels}, "spec": pod},
    }
    kube.create(DEPLOYMENTS, {"metadata": {"name": "ballast-operator"}, "spec": spec})
    kube.delete(f"{SECRETS}/ballast-webhook")
    kube.create(SECRETS, {"metadata": {"name": "ballast-webhook"}})
    try:
        _wait(lambda: len(_operators(kube)) == 2)
        yield
    finally:
        kube.delete(f"{SECRETS}/ballast-webhook")
        kube.delete(f"{DEPLOYMENTS}/ballast-operator")
        _wait(lambda: not _operators(kube))


@pytest.fixture
def held_pod(namespace: Namespace, kube: Kube) -> Iterator[str]:
    """The path of a pod of a job's that ends, and is kept for the ledger; and for somebody else, too."""
    metadata = {"name": "held", "labels": {JOB_UID_LABEL: "gone"}, "finalizers": [OTHERS, FINALIZER]}
    containers = [{"name": "trainer", "image": "example.com/trainer:1"}]
    gate = [{"name": "example.com/never"}]
    pods = f"/api/v1/namespaces/{namespace.name}/pods"
    kube.create(pods, {"metadata": metadata, "spec": {"containers": containers, "schedulingGates": gate}})
    yield f"{pods}/held"
    if kube.find(f"{pods}/held") is not None:
        kube.merge(f"{pods}/held", {"metadata": {"finalizers": None}})


@pytest.fixture
def as_uninstaller(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A kubeconfig of the service account that exists only while a release goes; it is the process' own."""
    lent = [each for (_, name), each in rendered().items() if name == ACCOUNT and each["kind"] != "Job"]
    assert len(lent) == 5
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": lent})
    cluster.kubectl("apply", "-f", "-", stdin=manifest)
    try:
        bound = token(cluster, OPERATOR_NAMESPACE, ACCOUNT)
        kubeconfig = kubeconfig_with(cluster, bound, tmp_path / "uninstall.kubeconfig")
        monkeypatch.setenv("KUBECONFIG", str(kubeconfig))
        yield kubeconfig
    finally:
        cluster.kubectl("delete", "-f", "-", stdin=manifest)


def test_it_is_lent_these_rights_and_no_more(as_uninstaller: Path) -> None:
    chart = rendered()
    assert granted(chart["ClusterRole", ACCOUNT]) == RIGHTS
    assert granted(chart["Role", ACCOUNT]) == RIGHTS_IN_ITS_NAMESPACE
    with Kube(as_uninstaller) as kube:
        assert [words for words in RIGHTS_IN_ITS_NAMESPACE if may(kube, words, "default")] == []


@pytest.mark.usefixtures("operator", "as_uninstaller")
async def test_every_gpu_is_back_and_nothing_is_left(agents: Agents, kube: Kube) -> None:
    async with await KubeClient.connect() as client:
        assert await uninstall(client, OPERATOR_NAMESPACE, timeout_seconds=60) == 0
    assert kube.get(f"{DEPLOYMENTS}/ballast-operator")["spec"]["replicas"] == 0
    assert _operators(kube) == []
    assert [each["metadata"]["name"] for each in kube.list(NODE_POWERS)] == []
    assert kube.find(f"{SECRETS}/ballast-webhook") is None


@pytest.mark.usefixtures("operator", "as_uninstaller")
async def test_a_node_that_does_not_answer_keeps_everything_where_it_is(agents: Agents, kube: Kube) -> None:
    agents.deaf = {NODES[1]}
    async with await KubeClient.connect() as client:
        assert await uninstall(client, OPERATOR_NAMESPACE, timeout_seconds=3) == 1
    assert [each["metadata"]["name"] for each in kube.list(NODE_POWERS)] == list(NODES)
    assert kube.find(f"{SECRETS}/ballast-webhook") is not None
    spec: dict[str, Any] = kube.get(f"{NODE_POWERS}/{NODES[1]}")["spec"]
    assert not spec.get("pods")
    assert spec.get("freeGpus", "Leave") == "Leave"


@pytest.mark.usefixtures("operator", "as_uninstaller", "agents")
async def test_no_pod_waits_any_more_for_its_last_reading_to_be_kept(held_pod: str, kube: Kube) -> None:
    kube.delete(held_pod)
    async with await KubeClient.connect() as client:
        assert await uninstall(client, OPERATOR_NAMESPACE, timeout_seconds=60) == 0
    assert kube.get(held_pod)["metadata"]["finalizers"] == [OTHERS]


@pytest.mark.usefixtures("operator", "as_uninstaller", "agents")
async def test_no_node_is_marked_as_empty_any_more(kube: Kube) -> None:
    node = f"/api/v1/nodes/{NODES[0]}"
    conditions = [*kube.get(node)["status"]["conditions"], {"type": EMPTY_CONDITION, "status": "True"}]
    kube.merge(f"{node}/status", {"metadata": {"labels": {EMPTY: "true"}}, "status": {"conditions": conditions}})
    async with await KubeClient.connect() as client:
        assert await uninstall(client, OPERATOR_NAMESPACE, timeout_seconds=60) == 0
    found = kube.get(node)
    assert EMPTY not in found["metadata"]["labels"]
    assert EMPTY_CONDITION not in {each["type"] for each in found["status"]["conditions"]}
    assert "Ready" in {each["type"] for each in found["status"]["conditions"]}


def _operators(kube: Kube) -> list[JsonObject]:
    return kube.list(
        f"/api/v1/namespaces/{OPERATOR_NAMESPACE}/pods", labelSelector="app.kubernetes.io/component=operator"
    )


def _wait(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.1)
