"""A node on which the last attempts got stuck is used again only where no other has room."""

from __future__ import annotations

from dataclasses import replace

from ballast.api.jobstatus import Attempt, Outcome
from ballast.decide.capacity import Capacity
from ballast.decide.life.ends import avoided
from ballast.decide.placement import Placement, place
from tests.builders import NodeBuilder, at, job, node

A, B = node("a").with_gpus("A100", 4), node("b").with_gpus("A100", 4)


def where(gpus: int, avoid: tuple[str, ...], *nodes: NodeBuilder) -> set[str]:
    gang = replace(job("gang").with_gpus(gpus).gang(), avoid=avoid)
    outcome = place(gang, Capacity(each.build() for each in nodes))
    assert isinstance(outcome, Placement)
    return set(outcome.nodes)


def attempt(number: int, outcome: Outcome, *avoid: str) -> Attempt:
    return Attempt(number=number, started_at=at(0), outcome=outcome, avoid=avoid)


def test_another_node_is_taken() -> None:
    assert where(1, (), A.using(gpus=1), B) == {"a"}, "else the one in use comes first"
    assert where(1, ("a",), A.using(gpus=1), B) == {"b"}


def test_even_one_with_a_worse_gpu_model() -> None:
    assert where(1, ("a",), A, node("h").with_gpus("H100", 4)) == {"h"}


def test_but_rather_the_same_than_none() -> None:
    assert where(4, ("a",), A, B.using(gpus=1)) == {"a"}
    assert where(4, ("a", "b"), A, B) == {"a"}


def test_cpu_jobs_avoid_too() -> None:
    gang = replace(job("gang").gang(), avoid=("a",))
    outcome = place(gang, Capacity([node("a").build(), node("b").build()]))
    assert isinstance(outcome, Placement)
    assert outcome.nodes == ("b",)


def test_all_attempts_in_a_row_that_got_stuck_count() -> None:
    stuck = [attempt(1, Outcome.ROLLED_BACK, "b"), attempt(2, Outcome.DISRUPTED, "a", "b")]
    assert avoided(stuck) == ("a", "b")


def test_until_one_ended_otherwise() -> None:
    assert avoided([attempt(1, Outcome.ROLLED_BACK, "b"), attempt(2, Outcome.FAILED)]) == ()
    assert avoided([attempt(1, Outcome.FAILED, "b"), attempt(2, Outcome.ROLLED_BACK, "a")]) == ("a",)
    assert avoided([]) == ()
