"""What training pods get passes restricted Pod Security, and a Job keeps what it was made with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ballast.act import paths
from ballast.act.agent_access import AgentAccess
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.act.manifests import workload
from tests.builders import JobBuilder
from tests.cluster import Cluster
from tests.e2e.kube import Kube, Refused

JsonObject = dict[str, Any]

RESTRICTED = {"metadata": {"name": "agent-pods", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
NAMESPACE = "agent-pods"
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
WHOLE = {"cpu": "2", "memory": "2Gi"}
POD = {"runAsNonRoot": True, "runAsUser": 1000, "seccompProfile": {"type": "RuntimeDefault"}}


@pytest.fixture(scope="module")
def restricted(cluster: Cluster) -> Iterator[Kube]:
    """A client of a cluster with a namespace of the strictest kind."""
    own = f"/api/v1/namespaces/{NAMESPACE}"
    with Kube(cluster.kubeconfig) as kube:
        kube.create("/api/v1/namespaces", RESTRICTED)
        while kube.find(f"{own}/serviceaccounts/default") is None:
            time.sleep(0.05)
        yield kube
        kube.delete(own)


def job_that_trusts(ca_bundle: str, exporter: ExporterSidecar | None = None, **pod_spec: Any) -> JsonObject:
    """A Job without an owner, whose pods trust an authority."""
    asking = JobBuilder("train", namespace=NAMESPACE, trainer={"securityContext": CONTAINER}).with_pod_spec(
        securityContext=POD, automountServiceAccountToken=False, **pod_spec
    )
    asking = asking.with_cpus(1, "1Gi")
    made = workload(asking.training_job(), 1, agent=AgentAccess(ca_bundle, 9444), exporter=exporter)
    del made["metadata"]["ownerReferences"]
    return made


def pod_of(made: JsonObject) -> JsonObject:
    """A pod of a Job."""
    template = made["spec"]["template"]
    return {"metadata": {**template["metadata"], "name": "train"}, "spec": template["spec"]}


def test_a_pod_passes_restricted_pod_security(restricted: Kube) -> None:
    made = restricted.create(f"{PODS}?dryRun=All&fieldValidation=Strict", pod_of(job_that_trusts("PEM")))
    assert [volume["name"] for volume in made["spec"]["volumes"]] == ["ballast-agent"]


@pytest.mark.parametrize(
    "pod_spec",
    [{}, {"resources": {"limits": WHOLE, "requests": WHOLE}}],
    ids=["by container", "as a whole"],
)
def test_with_the_exporter_it_passes_too_and_stays_guaranteed(restricted: Kube, pod_spec: JsonObject) -> None:
    pod = pod_of(job_that_trusts("PEM", ExporterSidecar("exporter:1"), **pod_spec))
    made = restricted.create(f"{PODS}?dryRun=All&fieldValidation=Strict", pod)
    assert made["status"]["qosClass"] == "Guaranteed"
    assert made["metadata"]["finalizers"] == ["ballast.dev/final-reading"]
    assert [each["name"] for each in made["spec"]["initContainers"]] == ["ballast-exporter"]


def test_the_pods_that_a_job_makes_carry_the_finalizer(restricted: Kube) -> None:
    path = paths.job(NAMESPACE, "train-1")
    restricted.apply(path, job_that_trusts("PEM", ExporterSidecar("exporter:1")))
    while not (found := restricted.get(PODS)["items"]):
        time.sleep(0.05)
    assert "ballast.dev/final-reading" in found[0]["metadata"]["finalizers"]
    restricted.delete(path, propagationPolicy="Background")
    while pods := restricted.get(PODS)["items"]:
        for pod in pods:
            restricted.merge(f"{PODS}/{pod['metadata']['name']}", {"metadata": {"finalizers": None}})
        time.sleep(0.05)


def test_a_job_that_is_there_cannot_be_told_of_another_authority(restricted: Kube) -> None:
    path = paths.job(NAMESPACE, "train-1")
    first = restricted.apply(path, job_that_trusts("old"))
    assert restricted.apply(path, job_that_trusts("old"))["metadata"]["generation"] == first["metadata"]["generation"]
    with pytest.raises(Refused, match="field is immutable") as refused:
        restricted.apply(path, job_that_trusts("new"))
    assert refused.value.status == 422
    kept = restricted.get(path)["spec"]["template"]["metadata"]["annotations"]
    assert kept == {"ballast.dev/agent-ca": "old"}
