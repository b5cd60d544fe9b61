"""The operator labels nodes under ballast.dev/, and changes nothing else of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.kube import Kube, Refused
from tests.e2e.operators import Operators

NODE = "/api/v1/nodes/a40-1"
LABEL = "ballast.dev/test"


@pytest.fixture
def as_operator(operators: Operators, kube: Kube) -> Iterator[Kube]:
    """A client with the operator's rights; what it may label is clean afterwards."""
    with Kube(operators.kubeconfig()) as client:
        yield client
    kube.merge(NODE, {"metadata": {"labels": {LABEL: None}}})


def test_it_sets_changes_and_removes_labels_of_its_own(as_operator: Kube, kube: Kube) -> None:
    for value in ("one", "two", None):
        as_operator.merge(NODE, {"metadata": {"labels": {LABEL: value}}})
        assert kube.get(NODE)["metadata"]["labels"].get(LABEL) == value


def test_it_applies_labels_of_its_own(as_operator: Kube, kube: Kube) -> None:
    as_operator.apply(
        NODE, {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "a40-1", "labels": {LABEL: "applied"}}}
    )
    assert kube.get(NODE)["metadata"]["labels"][LABEL] == "applied"


@pytest.mark.parametrize(
    "change",
    [
        {"metadata": {"labels": {"team": "vision"}}},
        {"metadata": {"labels": {"ballast.dev": "x"}}},
        {"metadata": {"labels": {"ballast.dev.example/x": "x"}}},
        {"metadata": {"labels": {"node-role.kubernetes.io/control-plane": ""}}},
        {"metadata": {"labels": {"nvidia.com/gpu.product": "another"}}},
        {"metadata": {"labels": {"nvidia.com/gpu.product": None}}},
        {"metadata": {"labels": {LABEL: "x"}, "annotations": {"a": "b"}}},
        {"metadata": {"finalizers": ["example.com/held"]}},
        {"spec": {"unschedulable": True}},
        {"spec": {"taints": []}},
    ],
    ids=str,
)
def test_anything_else_is_refused(change: dict[str, Any], as_operator: Kube, kube: Kube) -> None:
    before = kube.get(NODE)
    with pytest.raises(Refused, match="Ballast's operator changes no") as refusal:
        as_operator.merge(NODE, change)
    assert refusal.value.status == 403
    after = kube.get(NODE)
    assert after["spec"] == before["spec"]
    assert after["metadata"]["labels"] == before["metadata"]["labels"]


def test_others_may_change_what_they_like(kube: Kube) -> None:
    kube.merge(NODE, {"metadata": {"labels": {"team": "vision"}}})
    kube.merge(NODE, {"metadata": {"labels": {"team": None}}})
