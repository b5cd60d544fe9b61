"""A schedule that breaks a rule of its problem is told which, and its joules are those of its pieces of time."""

from __future__ import annotations

import pytest

from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.schedule import Placed, Schedule, faults, total_joules
from tests.unit.simulate.bounds.instances import SWITCHING, job, node, problem

ONE = problem([job("a", slowdown=50, deadline=40, at=5)], [node("n"), node("m", "new", gpus=1)], 100, deadlines=True)


def placed(
    start: float = 5, seconds: float = 12, limit: float = 200, nodes: dict[str, int] | None = None, name: str = "a"
) -> Placed:
    return Placed(name, nodes or {"n": 1}, "old", limit, start, start + seconds)


def test_a_good_one_has_none() -> None:
    assert faults(ONE, Schedule((placed(),))) == []


@pytest.mark.parametrize(
    ("wrong", "fault"),
    [
        (placed(seconds=10), "a runs 10 s, and its work takes 12 s"),
        (placed(start=4), "a starts at 4, before it is submitted"),
        (placed(start=30), "a ends at 42, after it is due"),
        (placed(seconds=16, limit=150), "a runs 16 s, and may run 12 s"),
        (placed(nodes={"n": 2}), "a cannot be there: the job needs 1 GPUs"),
        (placed(nodes={"m": 1}), "a is on nodes without olds"),
        (placed(limit=210), "a cannot be there: the GPUs take power limits from 100 to 200 W"),
    ],
)
def test_each_rule_is_looked_at(wrong: Placed, fault: str) -> None:
    assert fault in faults(ONE, Schedule((wrong,)))


def test_a_job_that_is_missing() -> None:
    assert faults(ONE, Schedule(())) == ["not every job is placed once"]


def test_gpus_that_are_held_twice() -> None:
    two = problem([job("a"), job("b", gpus=2)], [node("n")], 100)
    runs = Schedule((placed(start=11), placed(start=0, nodes={"n": 2}, name="b")))
    assert faults(two, runs) == ["n has 2 GPUs, and 3 are held at 11"]


def switching(*jobs: str) -> Problem:
    return problem([job(name, seconds=4) for name in jobs], [node("n")], 100, options=SWITCHING)


@pytest.mark.parametrize(
    ("on", "fault"),
    [
        (((0.0, 2.0),), "a runs on n while it is off"),
        (((0.0, 2.0), (10.0, 15.0)), "n is switched off at 15, too early after 14"),
        (((0.0, 9.5), (10.0, 16.0)), "n is switched off at 9.5 and on at 10: it cannot boot so fast"),
        (((10.0, 16.0),), "n is not on at the beginning"),
    ],
)
def test_nodes_that_are_off(on: tuple[tuple[float, float], ...], fault: str) -> None:
    assert fault in faults(switching("a"), Schedule((placed(start=10, seconds=4),), {"n": on}))


def test_joules_with_nodes_off() -> None:
    one = switching("a")
    run = Schedule((placed(start=10, seconds=4),), {"n": ((0.0, 2.0), (10.0, 16.0))})
    assert faults(one, run) == []
    assert total_joules(one, run) == pytest.approx(8 * 140 + 4 * 170 + 300)


def test_joules_with_nodes_on() -> None:
    two = problem([job("a"), job("b", gpus=2)], [node("n"), node("m", "new", gpus=1)], 100)
    runs = Schedule((placed(start=12), placed(start=0, nodes={"n": 2}, name="b")))
    assert total_joules(two, runs) == pytest.approx(100 * (140 + 120) + 12 * 170 + 2 * 12 * 170)
