"""One patch binds a pod and takes the gate off: only this pod, only once, on top of what it requires already."""

from __future__ import annotations

import copy
from typing import Any

from ballast.act.manifests import ungate_patch, with_node

ON_A = {"key": "metadata.name", "operator": "In", "values": ["a"]}
WEST = {"key": "zone", "operator": "In", "values": ["west"]}
REQUIRED = "requiredDuringSchedulingIgnoredDuringExecution"


def terms(affinity: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = affinity["nodeAffinity"][REQUIRED]["nodeSelectorTerms"]
    return found


def test_it_tests_the_pod_and_the_gate_before_it_changes_anything() -> None:
    assert ungate_patch("uid-1", 2, None, "a") == [
        {"op": "test", "path": "/metadata/uid", "value": "uid-1"},
        {"op": "test", "path": "/spec/schedulingGates/2/name", "value": "ballast.dev/placement"},
        {"op": "add", "path": "/spec/affinity", "value": with_node(None, "a")},
        {"op": "remove", "path": "/spec/schedulingGates/2"},
    ]


def test_without_affinity_the_node_is_all_that_is_required() -> None:
    expected = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchFields": [ON_A]}]}}}
    assert with_node(None, "a") == expected
    assert with_node({}, "a") == expected


def test_the_node_is_added_to_every_term() -> None:
    # Terms are alternatives: one without the node would let the pod go elsewhere.
    by_field = {"matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["b"]}]}
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [WEST]}, by_field]}}}
    assert terms(with_node(affinity, "a")) == [
        {"matchExpressions": [WEST], "matchFields": [ON_A]},
        {"matchFields": [*by_field["matchFields"], ON_A]},
    ]


def test_everything_else_stays() -> None:
    affinity = {"podAntiAffinity": {"x": 1}, "nodeAffinity": {"preferredDuringSchedulingIgnoredDuringExecution": [2]}}
    changed = with_node(affinity, "a")
    assert changed["podAntiAffinity"] == {"x": 1}
    assert changed["nodeAffinity"]["preferredDuringSchedulingIgnoredDuringExecution"] == [2]
    assert terms(changed) == [{"matchFields": [ON_A]}]


def test_the_observed_affinity_is_not_changed() -> None:
    affinity = {"nodeAffinity": {REQUIRED: {"nodeSelectorTerms": [{"matchExpressions": [WEST], "matchFields": []}]}}}
    before = copy.deepcopy(affinity)
    with_node(affinity, "a")
    assert affinity == before
