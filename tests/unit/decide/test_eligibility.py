"""A gang uses only nodes that are up and that its tolerations, node selector and node affinity allow."""

from __future__ import annotations

import pytest

from ballast.decide.eligibility import ineligible_because
from tests.builders import JobBuilder, NodeBuilder, job, node

TAINTED = node("a").tainted("team", "vision")


def why_not(asking: JobBuilder, on: NodeBuilder) -> str | None:
    return ineligible_because(asking.gang(), on.build())


def test_a_plain_node_may_run_a_plain_job() -> None:
    assert why_not(job("train"), node("a")) is None


def test_not_ready() -> None:
    assert why_not(job("train"), node("a").not_ready()) == "not ready"


def test_cordoned() -> None:
    assert why_not(job("train"), node("a").cordoned()) == "cordoned"


def test_gpu_job_needs_a_node_with_gpus() -> None:
    assert why_not(job("train").with_gpus(1), node("a")) == "no nvidia.com/gpu"
    assert why_not(job("train").with_gpus(1), node("a").with_gpus("A100", 1)) is None


@pytest.mark.parametrize("effect", ["NoSchedule", "NoExecute"])
def test_a_taint_keeps_away(effect: str) -> None:
    assert why_not(job("train"), node("a").tainted("team", "vision", effect)) == "taint team"


def test_a_soft_taint_does_not_keep_away() -> None:
    assert why_not(job("train"), node("a").tainted("team", "vision", "PreferNoSchedule")) is None


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "team", "operator": "Equal", "value": "vision", "effect": "NoSchedule"},
        {"key": "team", "value": "vision"},
        {"key": "team", "operator": "Exists"},
        {"key": "team", "operator": "Exists", "effect": "NoSchedule"},
        {"operator": "Exists"},
        {"operator": "Exists", "effect": "NoSchedule"},
    ],
    ids=str,
)
def test_tolerated(toleration: dict[str, str]) -> None:
    assert why_not(job("train").tolerating(**toleration), TAINTED) is None


@pytest.mark.parametrize(
    "toleration",
    [
        {"key": "team", "value": "speech"},
        {"key": "other", "value": "vision"},
        {"key": "other", "operator": "Exists"},
        {"key": "team", "value": "vision", "effect": "NoExecute"},
        {"operator": "Exists", "effect": "NoExecute"},
    ],
    ids=str,
)
def test_not_tolerated(toleration: dict[str, str]) -> None:
    assert why_not(job("train").tolerating(**toleration), TAINTED) == "taint team"


def test_every_taint_has_to_be_tolerated() -> None:
    tolerant = job("train").tolerating(key="team", operator="Exists")
    both = TAINTED.tainted("maintenance")
    assert why_not(tolerant, both) == "taint maintenance"
    assert why_not(tolerant.tolerating(key="maintenance", operator="Exists"), both) is None


def test_node_selector() -> None:
    picky = job("train").selecting(zone="west", disk="ssd")
    assert why_not(picky, node("a").labelled(zone="west", disk="ssd")) is None
    assert why_not(picky, node("a").labelled(zone="west")) == "nodeSelector disk=ssd"
    assert why_not(picky, node("a").labelled(zone="east", disk="ssd")) == "nodeSelector zone=west"


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [
        ("In", ["8", "9"], True),
        ("In", ["9"], False),
        ("NotIn", ["9"], True),
        ("NotIn", ["8", "9"], False),
        ("Exists", [], True),
        ("DoesNotExist", [], False),
        ("Gt", ["7"], True),
        ("Gt", ["8"], False),
        ("Lt", ["9"], True),
        ("Lt", ["8"], False),
        ("Gt", ["many"], False),
        ("Gt", [], False),
        ("Near", ["8"], False),
    ],
)
def test_affinity_operators(operator: str, values: list[str], matches: bool) -> None:
    expression = {"key": "generation", "operator": operator, "values": values}
    because = why_not(job("train").requiring({"matchExpressions": [expression]}), node("a").labelled(generation="8"))
    assert because == (None if matches else "node affinity")


@pytest.mark.parametrize(
    ("operator", "values", "matches"),
    [
        ("In", ["8"], False),
        ("NotIn", ["8"], True),
        ("Exists", [], False),
        ("DoesNotExist", [], True),
        ("Gt", ["7"], False),
        ("Lt", ["9"], False),
    ],
)
def test_affinity_operators_where_the_label_is_absent(operator: str, values: list[str], matches: bool) -> None:
    expression = {"key": "generation", "operator": operator, "values": values}
    because = why_not(job("train").requiring({"matchExpressions": [expression]}), node("a"))
    assert because == (None if matches else "node affinity")


WEST = {"key": "zone", "operator": "In", "values": ["west"]}
SSD = {"key": "disk", "operator": "In", "values": ["ssd"]}


def test_one_term_is_enough() -> None:
    either = job("train").requiring({"matchExpressions": [WEST]}, {"matchExpressions": [SSD]})
    assert why_not(either, node("a").labelled(zone="east", disk="ssd")) is None
    assert why_not(either, node("a").labelled(zone="east", disk="hdd")) == "node affinity"


def test_all_expressions_of_a_term_must_hold() -> None:
    both = job("train").requiring({"matchExpressions": [WEST, SSD]})
    assert why_not(both, node("a").labelled(zone="west", disk="ssd")) is None
    assert why_not(both, node("a").labelled(zone="west")) == "node affinity"


def test_match_fields_name_the_node() -> None:
    by_name = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": ["a"]}]}
    assert why_not(job("train").requiring(by_name), node("a")) is None
    assert why_not(job("train").requiring(by_name), node("b")) == "node affinity"


def test_fields_and_labels_of_a_term_must_both_hold() -> None:
    term = {
        "matchFields": [{"key": "metadata.name", "operator": "NotIn", "values": ["b"]}],
        "matchExpressions": [WEST],
    }
    assert why_not(job("train").requiring(term), node("a").labelled(zone="west")) is None
    assert why_not(job("train").requiring(term), node("b").labelled(zone="west")) == "node affinity"
    assert why_not(job("train").requiring(term), node("a")) == "node affinity"


def test_an_empty_term_matches_nothing() -> None:
    assert why_not(job("train").requiring({}), node("a")) == "node affinity"
