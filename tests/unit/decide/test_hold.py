"""The head of the queue that has waited for too long gets nodes held for it; everybody else goes on elsewhere."""

from __future__ import annotations

import pytest

from ballast.decide.policy import Policy
from ballast.decide.queueing import Admissions, admit
from tests.builders import NOW, JobBuilder, NodeBuilder, job, node, snapshot

PATIENCE = Policy().patience_seconds
BIG = job("big").with_gpus(4).waiting_since(-PATIENCE)
SMALL = job("small").with_gpus(1).waiting_since(-1)
A = node("a").with_gpus("A100", 4)
B = node("b").with_gpus("A100", 4)


def came(*waiting: JobBuilder, nodes: tuple[NodeBuilder, ...], now: float = NOW) -> Admissions:
    return admit(snapshot(nodes, waiting, now=now), 100)


def names(admissions: Admissions) -> list[str]:
    return [write.job.metadata.name for write in admissions.writes]


def test_a_patient_head_blocks_nobody() -> None:
    admissions = came(BIG, SMALL, nodes=(A.using(gpus=1),), now=NOW - 1)
    assert names(admissions) == ["small"]
    assert admissions.held_for is None


def test_an_impatient_one_gets_the_node_nearest_to_taking_it() -> None:
    admissions = came(BIG, SMALL, nodes=(A.using(gpus=3), B.using(gpus=1)))
    assert admissions.held_for == "uid-of-big"
    [write] = admissions.writes
    assert {place.node for place in write.status.placement} == {"a"}, "b is held"


def test_who_is_in_the_way_is_told_why_without_the_name_of_the_other() -> None:
    admissions = came(BIG, SMALL, nodes=(A.using(gpus=1),))
    assert names(admissions) == []
    message = admissions.refused[SMALL.gang()].message
    assert "1 node held for a job that has waited 10 min" in message
    assert "big" not in message


def test_who_comes_before_it_is_not_held_up() -> None:
    urgent = SMALL.of_priority("high", 1)
    assert names(came(BIG, urgent, nodes=(A.using(gpus=1),))) == ["small"]


def test_held_are_free_for_the_one_they_are_held_for() -> None:
    assert names(came(BIG, SMALL, nodes=(A,))) == ["big"]


def test_nodes_are_held_for_one_job_at_a_time() -> None:
    second = job("second").with_gpus(4).waiting_since(-PATIENCE + 1)
    admissions = came(BIG, second, SMALL, nodes=(A.using(gpus=1), B.using(gpus=2)), now=NOW + 100)
    assert admissions.held_for == "uid-of-big"
    assert names(admissions) == ["small"], "on b"


@pytest.mark.parametrize(
    "hopeless", [BIG.with_gpus(9), BIG.selecting(zone="nowhere")], ids=["too large", "no eligible node"]
)
def test_nothing_is_held_for_a_job_that_can_never_fit(hopeless: JobBuilder) -> None:
    admissions = came(hopeless, SMALL, nodes=(A.using(gpus=1),))
    assert admissions.held_for is None
    assert names(admissions) == ["small"]


def test_no_more_nodes_are_held_than_the_gang_needs() -> None:
    gang = job("gang").with_gpus(2).replicas(2).waiting_since(-PATIENCE)
    admissions = came(gang, SMALL, nodes=(A.using(gpus=1), B.using(gpus=4), node("c").with_gpus("H100", 1)))
    assert admissions.held_for == "uid-of-gang"
    [write] = admissions.writes
    assert {place.node for place in write.status.placement} == {"c"}


def test_cpu_gangs_too() -> None:
    gang = job("gang").with_cpus(8).waiting_since(-PATIENCE)
    other = job("other").with_cpus(1).waiting_since(-1)
    assert names(came(gang, other, nodes=(node("p").with_cpus(8).using(cpus=1),))) == []
