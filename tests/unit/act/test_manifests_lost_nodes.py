"""Pods leave a node that does not answer as soon as the admin says, unless their template says so itself."""

from __future__ import annotations

from typing import Any

import pytest

from ballast.act.manifests import LOST_NODE_TAINTS, workload
from tests.builders import JobBuilder, job


def tolerations(asking: JobBuilder, seconds: int = 60) -> list[dict[str, Any]]:
    spec = workload(asking.training_job(), 1, seconds)["spec"]["template"]["spec"]
    found: list[dict[str, Any]] = spec["tolerations"]
    return found


@pytest.mark.parametrize("seconds", [0, 60])
def test_both_taints_of_a_lost_node_are_tolerated_for_so_long(seconds: int) -> None:
    assert tolerations(job("train"), seconds) == [
        {"key": key, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": seconds}
        for key in LOST_NODE_TAINTS
    ]


def test_the_templates_own_come_first_and_stay() -> None:
    assert tolerations(job("train").tolerating(key="team", operator="Exists"))[0] == {
        "key": "team",
        "operator": "Exists",
    }


@pytest.mark.parametrize("effect", ["NoExecute", ""])
def test_what_the_template_says_of_a_taint_counts(effect: str) -> None:
    own = {"key": LOST_NODE_TAINTS[0], "operator": "Exists", **({"effect": effect} if effect else {})}
    keys = [each["key"] for each in tolerations(job("train").tolerating(**own))]
    assert keys == [LOST_NODE_TAINTS[0], LOST_NODE_TAINTS[1]]


def test_who_tolerates_everything_tolerates_that() -> None:
    assert tolerations(job("train").tolerating(operator="Exists")) == [{"operator": "Exists"}]


def test_tolerating_that_nothing_new_is_placed_there_is_another_matter() -> None:
    asking = job("train").tolerating(key=LOST_NODE_TAINTS[0], operator="Exists", effect="NoSchedule")
    assert len(tolerations(asking)) == 3
