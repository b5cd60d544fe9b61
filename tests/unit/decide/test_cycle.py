"""A cycle: admitted jobs first, then the queue, then explanations; pure, and never more than it may do."""

from __future__ import annotations

import copy
import dataclasses
from dataclasses import FrozenInstanceError
from typing import Any

import pytest

from ballast.decide.actions import Ungate, WriteStatus
from ballast.decide.cycle import Decision, decide
from ballast.decide.snapshot import Snapshot
from tests.builders import JobBuilder, job, node, pod, snapshot

CLUSTER = [node("a").with_gpus("A100", 8), node("b").with_gpus("H100", 2)]


def placed(name: str, pods: int) -> JobBuilder:
    gang = job(name).replicas(pods).placed_on(*["a"] * pods)
    return gang.with_job().with_pods(*[pod(index, of=gang).gated() for index in range(pods)])


def busy() -> Snapshot:
    waiting = [
        job("fits").with_gpus(2).waiting_since(-2),
        job("too-large").with_gpus(8).replicas(9).waiting_since(-3),
    ]
    return snapshot(CLUSTER, waiting, changed=[placed("gang", 2)])


def kinds(decision: Decision) -> list[str]:
    return [
        f"{action.transition}({action.job.metadata.name})" if isinstance(action, WriteStatus) else type(action).__name__
        for action in decision.actions
    ]


def test_promises_are_kept_before_new_ones_are_made() -> None:
    assert kinds(decide(busy())) == ["Ungate", "Ungate", "Admit(fits)", "Queue(too-large)"]


def test_a_quiet_cluster_needs_nothing() -> None:
    decision = decide(snapshot(CLUSTER))
    assert decision == Decision(actions=(), refused={}, held_for=None, complete=True)


def test_refusals_are_handed_to_the_next_cycle() -> None:
    decision = decide(busy())
    [(gang, refusal)] = decision.refused.items()
    assert gang.replicas == 9
    assert refusal.reason == "ClusterTooSmall"


def test_the_same_snapshot_gives_the_same_decision() -> None:
    cluster = busy()
    assert decide(cluster) == decide(cluster) == decide(copy.deepcopy(cluster))


def test_deciding_changes_nothing_in_the_snapshot() -> None:
    cluster = busy()
    before = copy.deepcopy(cluster)
    decide(cluster)
    assert cluster == before


@pytest.mark.parametrize("part", ["snapshot", "node", "job", "pod", "lane"])
def test_everything_that_is_decided_on_is_frozen(part: str) -> None:
    cluster = busy()
    parts: dict[str, Any] = {
        "snapshot": cluster,
        "node": cluster.nodes[0],
        "job": cluster.changed[0],
        "pod": cluster.changed[0].pods[0],
        "lane": cluster.lanes[0],
    }
    target = parts[part]
    field = dataclasses.fields(target)[0].name
    with pytest.raises(FrozenInstanceError):
        setattr(target, field, None)


@pytest.mark.parametrize("most", [0, 1, 2, 3])
def test_never_more_actions_than_allowed(most: int) -> None:
    cluster = dataclasses.replace(busy(), max_actions=most)
    decision = decide(cluster)
    assert decision.actions == decide(busy()).actions[:most]
    assert not decision.complete


def test_complete_says_that_nothing_was_cut_off() -> None:
    assert decide(busy()).complete


def test_an_admitted_job_is_not_told_to_wait_in_the_same_cycle() -> None:
    # The second of the lane no longer fits; the first one must not be told so.
    waiting = [job("one").with_gpus(8).waiting_since(-2), job("two").with_gpus(8).waiting_since(-1)]
    decision = decide(snapshot([node("a").with_gpus("A100", 8)], waiting))
    assert kinds(decision) == ["Admit(one)", "Queue(two)"]


def test_ungating_names_the_reserved_node() -> None:
    nodes = {action.node for action in decide(busy()).actions if isinstance(action, Ungate)}
    assert nodes == {"a"}
