"""A node is marked as empty after its last job, unmarked before the next one, and clean once marks are switched off."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from ballast.api.labels import EMPTY, EMPTY_CONDITION
from tests.e2e.kube import JsonObject, Kube, Refused
from tests.e2e.manifests import training_job
from tests.e2e.namespace import Namespace
from tests.e2e.operators import Operators

NAME = "a40-0"
NODE = f"/api/v1/nodes/{NAME}"
MARKING = {"BALLAST_EMPTY_NODES_MARK": "true", "BALLAST_EMPTY_NODE_SECONDS": "2"}


def _said(node: JsonObject) -> str | None:
    """What a node's condition says; None without one."""
    conditions = node["status"]["conditions"]
    return next((each["status"] for each in conditions if each["type"] == EMPTY_CONDITION), None)


def _wait(namespace: Namespace, label: str | None, said: str | None) -> JsonObject:
    """Wait until label and condition are these; they come in one write."""

    def holds(nodes: list[JsonObject]) -> bool:
        return [(each["metadata"]["labels"].get(EMPTY), _said(each)) for each in nodes] == [(label, said)]

    [node] = namespace.wait("/api/v1/nodes", NAME, holds, f"{NAME} has the label {label} and says {said}")
    return node


@pytest.fixture
def marking(operators: Operators, namespace: Namespace) -> Iterator[None]:
    """An operator that marks empty nodes; one that does not takes the marks off."""
    operators.shared(MARKING)
    yield
    operators.shared()
    _wait(namespace, None, None)


@pytest.mark.usefixtures("marking")
def test_between_two_jobs(namespace: Namespace) -> None:
    node = _wait(namespace, "true", "True")
    [condition] = [each for each in node["status"]["conditions"] if each["type"] == EMPTY_CONDITION]
    assert condition["reason"] == "Unused"
    assert "4 idle GPUs draw about" in condition["message"]

    namespace.submit(training_job("first").gpus(1).on_node(NAME).runs(seconds=600))
    namespace.wait_for_phase("first", "Running")
    _wait(namespace, None, "False")
    namespace.delete_job("first")
    _wait(namespace, "true", "True")


@pytest.mark.usefixtures("marking")
def test_a_mark_that_somebody_makes_does_not_last(namespace: Namespace, kube: Kube) -> None:
    namespace.submit(training_job("train").gpus(1).on_node(NAME).runs(seconds=600))
    namespace.wait_for_phase("train", "Running")
    kube.merge(NODE, {"metadata": {"labels": {EMPTY: "true"}}})
    _wait(namespace, None, "False")


def test_the_operator_says_this_of_nodes_and_nothing_else(operators: Operators, kube: Kube) -> None:
    operators.stop()
    before = kube.get(NODE)["status"]
    others = [{**each, "reason": "Edited"} for each in before["conditions"]]
    changes: list[JsonObject] = [{"allocatable": {"nvidia.com/gpu": "64"}}, {"conditions": others}, {"conditions": []}]
    with Kube(operators.kubeconfig()) as client:
        for change in changes:
            with pytest.raises(Refused, match="nothing of a node's status but conditions under ballast") as error:
                client.merge(f"{NODE}/status", {"status": change})
            assert error.value.status == 403
    assert kube.get(NODE)["status"]["allocatable"] == before["allocatable"]
