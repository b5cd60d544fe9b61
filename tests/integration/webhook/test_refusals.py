"""What a user of a real cluster is told when a TrainingJob could never run there."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kube import Kube, Refused
from tests.integration.webhook.beside import PROBE

JsonObject = dict[str, Any]
NAMESPACE = "webhook-team"
JOBS = f"/apis/ballast.dev/v1alpha1/namespaces/{NAMESPACE}/trainingjobs"
TEMPLATE = "spec.template.spec"

LIMITS = {"type": "Container", "max": {"memory": "64Gi"}, "default": {"memory": "1Gi"}}


@pytest.fixture(scope="module", autouse=True)
def _namespace(team: Kube) -> Iterator[None]:
    """A namespace with Pod Security, a quota of 8 GPUs, and a LimitRange."""
    labels = {"pod-security.kubernetes.io/enforce": "baseline"}
    team.create("/api/v1/namespaces", {"metadata": {"name": NAMESPACE, "labels": labels}})
    own = f"/api/v1/namespaces/{NAMESPACE}"
    team.create(
        f"{own}/resourcequotas", {"metadata": {"name": "gpus"}, "spec": {"hard": {"requests.nvidia.com/gpu": "8"}}}
    )
    team.create(f"{own}/limitranges", {"metadata": {"name": "limits"}, "spec": {"limits": [LIMITS]}})
    # ServiceAccounts come a moment after their namespace.
    while team.find(f"{own}/serviceaccounts/default") is None:
        pass
    yield
    team.delete(own)


def job(*, trainer: JsonObject | None = None, limits: JsonObject | None = None, replicas: int = 1, **spec: Any) -> Any:
    container = {"name": "trainer", "image": "x", "resources": {"limits": {"nvidia.com/gpu": 2, **(limits or {})}}}
    return {
        **PROBE,
        "metadata": {"name": "sweep"},
        "spec": {
            "replicas": replicas,
            "template": {"spec": {"containers": [{**container, **(trainer or {})}], **spec}},
        },
    }


def refusal(kube: Kube, manifest: JsonObject) -> str:
    with pytest.raises(Refused) as refused:
        kube.create(f"{JOBS}?dryRun=All", manifest)
    assert refused.value.status == 422
    return refused.value.message.partition("denied the request: ")[2]


@pytest.mark.parametrize(
    ("manifest", "told"),
    [
        (job(priorityClassName="urgent"), f"{TEMPLATE}.priorityClassName: there is no PriorityClass 'urgent'"),
        (job(nodeSelecter={"a": "b"}), f'unknown field "{TEMPLATE}.nodeSelecter"'),
        (job(hostNetwork="yes"), f"{TEMPLATE}.hostNetwork: is string, must be bool"),
        (
            job(trainer={"ports": [{"containerPort": 99999}]}),
            f"{TEMPLATE}.containers[0].ports[0].containerPort: Invalid value: 99999",
        ),
        (job(dnsPolicy="Mine"), f'{TEMPLATE}.dnsPolicy: Unsupported value: "Mine"'),
        (job(hostNetwork=True), f'{TEMPLATE}: violates PodSecurity "baseline:latest": host namespaces'),
        (job(limits={"memory": "128Gi"}), f"{TEMPLATE}: maximum memory usage per Container is 64Gi"),
        (job(limits={"nvidia.com/mig-1g.5gb": 1}), "nvidia.com/mig-1g.5gb is not supported"),
        (job(replicas=5), "spec.replicas: 5 pods with requests.nvidia.com/gpu of 2 each"),
        (job(limits={"nvidia.com/gpu": 16}), "spec.replicas: 1 pods with requests.nvidia.com/gpu of 16 each"),
        (
            job(resourceClaims=[{"name": "gpu", "resourceClaimName": "x"}]),
            f"{TEMPLATE}.resourceClaims: dynamic resource allocation is not supported",
        ),
    ],
)
def test_it_is_refused_in_words(team: Kube, manifest: JsonObject, told: str) -> None:
    assert refusal(team, manifest).startswith(told) or told in refusal(team, manifest)


def test_a_good_one_is_taken_and_changed_only_for_the_better(team: Kube) -> None:
    team.create(JOBS, job())
    path = f"{JOBS}/sweep"
    team.merge(path, {"metadata": {"labels": {"any": "label"}}})
    with pytest.raises(Refused, match="5 pods with requests"):
        team.merge(path, {"spec": {"replicas": 5}})
    team.merge(path, {"spec": {"replicas": 4}})
    team.delete(path)


def test_nothing_is_created_on_the_way(team: Kube) -> None:
    refusal(team, job(priorityClassName="urgent"))
    team.create(f"{JOBS}?dryRun=All", job())
    assert team.list(f"/api/v1/namespaces/{NAMESPACE}/pods") == []
    quota = team.get(f"/api/v1/namespaces/{NAMESPACE}/resourcequotas/gpus")
    assert quota["status"].get("used", {}).get("requests.nvidia.com/gpu", "0") == "0"
