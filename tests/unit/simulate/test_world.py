"""Real decisions in a cluster in memory: who starts where, when, and what happens when something goes."""

from __future__ import annotations

import pytest

from ballast.decide.policy import Policy
from ballast.simulate.world import world as module
from ballast.simulate.world.world import Moment, Restless, World
from tests.unit.simulate.running import job, node

TWO = (node("a", 2), node("b", 2))


def nothing(moment: Moment) -> bool:
    return not moment.started and not moment.stopped


def test_a_job_starts_in_the_moment_in_which_it_comes() -> None:
    world = World(TWO)
    world.submit(job("one", gpus=2))
    moment = world.settle()
    assert list(moment.started.values()) in ([{"a": 2}], [{"b": 2}])
    assert list(moment.started) == ["one"]
    assert nothing(world.settle())


def test_a_gang_starts_whole_or_not_at_all() -> None:
    world = World(TWO)
    world.submit(job("small"))
    world.settle()
    world.submit(job("large", gpus=4))
    assert nothing(world.settle())
    world.now = 10.0
    world.end("small")
    assert world.settle().started == {"large": {"a": 2, "b": 2}}


def test_of_two_that_wait_the_first_goes_first() -> None:
    world = World((node("a", 1),))
    for name in ("x", "c", "b"):
        world.submit(job(name))
    assert list(world.settle().started) == ["x"]
    for gone, next_one in (("x", "c"), ("c", "b")):
        world.now += 10.0
        world.end(gone)
        assert list(world.settle().started) == [next_one]


def test_what_ends_in_a_moment_is_free_in_it() -> None:
    world = World((node("a", 2),))
    world.submit(job("one", gpus=2))
    world.settle()
    world.now = 10.0
    world.submit(job("two", gpus=2))
    world.end("one")
    assert world.settle().started == {"two": {"a": 2}}


def test_a_job_that_ended_leaves_nothing_behind() -> None:
    world = World(TWO)
    world.submit(job("one"))
    world.settle()
    world.now = 10.0
    world.end("one")
    assert nothing(world.settle())
    assert world.next_due() is None
    world.submit(job("one", gpus=4))  # even its name
    assert world.settle().started == {"one": {"a": 2, "b": 2}}


def test_a_job_that_lost_its_pods_is_stopped_and_started_again() -> None:
    world = World((node("a", 1),))
    world.submit(job("one"))
    world.settle()
    world.now = 50.0
    world.somebody_deletes_the_workload("one")
    assert world.settle() == Moment(("one",), {"one": {"a": 1}})
    assert nothing(world.settle())
    world.now = 60.0
    world.end("one")
    assert nothing(world.settle())
    assert world.next_due() is None


def test_a_job_that_was_stopped_holds_nothing_while_it_waits() -> None:
    world = World((node("a", 1),))
    for name in ("one", "two", "three"):
        world.submit(job(name))
        world.settle()
    # Its GPUs are free before it waits again; but then it waits with the precedence of its first day.
    for lost, next_one in (("one", "two"), ("two", "one")):
        world.now += 10.0
        world.somebody_deletes_the_workload(lost)
        assert world.settle() == Moment((lost,), {next_one: {"a": 1}})


def test_a_job_that_is_lost_before_its_start_is_known_was_never_stopped_and_tries_again_after_a_pause() -> None:
    world = World((node("a", 1),))
    world.submit(job("one"))
    while not world._started:
        world._cycle()
    world.somebody_deletes_the_workload("one")
    assert nothing(world.settle())
    due = world.next_due()
    assert due is not None
    assert 0 < due <= Policy().retry_seconds
    world.now = due
    assert world.settle() == Moment((), {"one": {"a": 1}})


def test_nodes_are_held_for_a_job_that_has_waited_long_enough() -> None:
    world = World((node("a", 2),))
    world.submit(job("first"))
    world.settle()
    world.submit(job("large", gpus=2))
    world.submit(job("fits"))
    assert list(world.settle().started) == ["fits"]
    world.now = Policy().patience_seconds + 1
    world.end("first")
    world.submit(job("late"))
    assert nothing(world.settle())
    world.now += 10
    world.end("fits")
    assert list(world.settle().started) == ["large"]


def test_many_jobs_of_one_moment_all_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ACTIONS", 3)
    world = World(tuple(node(f"n{index}", 8) for index in range(4)))
    for index in range(32):
        world.submit(job(f"j{index}"))
    assert len(world.settle().started) == 32


def test_decisions_without_an_end_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_CYCLES", 1)
    world = World(TWO)
    world.submit(job("one"))
    with pytest.raises(Restless, match="1 cycles at one moment"):
        world.settle()
