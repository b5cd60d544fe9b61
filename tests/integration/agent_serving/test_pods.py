"""What lets a training pod ask its agent passes restricted Pod Security, and a Job keeps what it was made with."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from ballast.act import paths
from ballast.act.agent_access import AgentAccess
from ballast.act.manifests import workload
from tests.builders import JobBuilder
from tests.cluster import Cluster
from tests.e2e.kube import Kube, Refused

JsonObject = dict[str, Any]

RESTRICTED = {"metadata": {"name": "agent-pods", "labels": {"pod-security.kubernetes.io/enforce": "restricted"}}}
NAMESPACE = "agent-pods"
CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
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


def job_that_trusts(ca_bundle: str) -> JsonObject:
    """A Job without an owner, whose pods trust an authority."""
    asking = JobBuilder("train", namespace=NAMESPACE, trainer={"securityContext": CONTAINER}).with_pod_spec(
        securityContext=POD, automountServiceAccountToken=False
    )
    made = workload(asking.training_job(), 1, agent=AgentAccess(ca_bundle, 9444))
    del made["metadata"]["ownerReferences"]
    return made


def test_a_pod_passes_restricted_pod_security(restricted: Kube) -> None:
    template = job_that_trusts("PEM")["spec"]["template"]
    pod = {"metadata": {**template["metadata"], "name": "train"}, "spec": template["spec"]}
    made = restricted.create(f"/api/v1/namespaces/{NAMESPACE}/pods?dryRun=All", pod)
    assert [volume["name"] for volume in made["spec"]["volumes"]] == ["ballast-agent"]


def test_a_job_that_is_there_cannot_be_told_of_another_authority(restricted: Kube) -> None:
    path = paths.job(NAMESPACE, "train-1")
    first = restricted.apply(path, job_that_trusts("old"))
    assert restricted.apply(path, job_that_trusts("old"))["metadata"]["generation"] == first["metadata"]["generation"]
    with pytest.raises(Refused, match="field is immutable") as refused:
        restricted.apply(path, job_that_trusts("new"))
    assert refused.value.status == 422
    kept = restricted.get(path)["spec"]["template"]["metadata"]["annotations"]
    assert kept == {"ballast.dev/agent-ca": "old"}
