"""A gang's pods find each other by name and torchrun's variables, and start together where Ballast chose."""

from __future__ import annotations

import pytest

from tests.e2e.kube import JsonObject
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace, nodes_of

GATE = "ballast.dev/placement"

pytestmark = pytest.mark.usefixtures("operator")


@pytest.fixture
def gang(namespace: Namespace) -> list[JsonObject]:
    """The running pods of a torchrun gang of three, of which two fit on one node."""
    namespace.submit(training_job("gang").pods(3).gpus(4).torchrun().runs(seconds=600))
    namespace.wait_for_phase("gang", "Running")
    return namespace.pods("gang")


def test_a_headless_service_names_the_pods(namespace: Namespace, gang: list[JsonObject]) -> None:
    service = namespace.kube.get(f"{namespace.services_path}/gang-gang")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True
    selector = service["spec"]["selector"]
    for index, pod in enumerate(gang):
        assert selector.items() <= pod["metadata"]["labels"].items()
        assert pod["spec"]["subdomain"] == "gang-gang"
        assert pod["spec"]["hostname"] == f"gang-1-{index}"


def test_trainers_get_torchrun_variables(gang: list[JsonObject]) -> None:
    for pod in gang:
        [trainer] = pod["spec"]["containers"]
        variables = {variable["name"]: variable for variable in trainer["env"]}
        assert variables["PET_NNODES"]["value"] == "3"
        assert variables["PET_NPROC_PER_NODE"]["value"] == "4"
        assert variables["PET_MASTER_ADDR"]["value"] == "gang-1-0.gang-gang"
        assert variables["PET_MASTER_PORT"]["value"] == "29500"
        rank = variables["PET_NODE_RANK"]["valueFrom"]["fieldRef"]["fieldPath"]
        assert rank == "metadata.annotations['batch.kubernetes.io/job-completion-index']"


def test_every_pod_lost_its_gate_and_got_its_node(namespace: Namespace, gang: list[JsonObject]) -> None:
    placed = nodes_of(namespace.job("gang"))
    assert sorted(placed) == ["a100-0", "a100-0", "a100-1"]
    for pod, node in zip(gang, placed, strict=True):
        assert GATE not in [gate["name"] for gate in pod["spec"].get("schedulingGates", [])]
        required = pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        by_name = {"key": "metadata.name", "operator": "In", "values": [node]}
        assert required["nodeSelectorTerms"] == [{"matchFields": [by_name]}]
        assert pod["spec"]["nodeName"] == node


def test_no_pod_starts_before_all_exist(namespace: Namespace) -> None:
    since = namespace.kube.version(namespace.pods_path)
    namespace.submit(training_job("gang").pods(8).gpus(1).on_node("v100-0"))
    namespace.wait_for_phase("gang", "Succeeded")

    made, ungated_after = 0, []
    for kind, pod in namespace.history(namespace.pods_path, since):
        made += kind == "ADDED"
        if not pod["spec"].get("schedulingGates"):
            ungated_after.append(made)
    assert ungated_after
    assert min(ungated_after) == 8


def test_half_a_gang_never_starts(namespace: Namespace) -> None:
    namespace.submit(training_job("a-holds").gpus(6).on_node("v100-0").runs(seconds=600))
    namespace.wait_for_phase("a-holds", "Running")
    namespace.submit(training_job("gang").pods(2).gpus(2).on_node("v100-0"))
    message = namespace.wait_until_refused("gang", "WaitingForCapacity")

    assert "needs 2 pods x 2 GPUs" in message
    assert namespace.pods("gang") == []
    assert namespace.kube.find(f"{namespace.workloads_path}/gang-1") is None
