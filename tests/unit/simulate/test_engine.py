"""What becomes of jobs: how long they run and wait, what they draw, in which order they are seen."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ballast.simulate.engine.engine import run
from ballast.simulate.engine.events import EventKind, Joules
from ballast.simulate.policy import SetLimit, SimNode, Step, View, WakeUp
from tests.unit.simulate.running import CURVES, FAST, SLOW, FirstFit, Told, job, node, ran


@pytest.mark.parametrize(
    ("on", "limit", "seconds", "dynamic"),
    [
        (FAST, 200, 100, 100 * 160),
        (FAST, 100, 200, 200 * 70),
        (FAST, 150, 100 / 0.75, 100 / 0.75 * 115),
        (SLOW, 200, 200, 200 * 110),
    ],
)
def test_speed_and_power_are_those_of_the_curve(on: str, limit: float, seconds: float, dynamic: float) -> None:
    done = ran(job(seconds=100), on=[node(gpu_model=on)], policy=FirstFit(limit))
    (row,) = done.rows
    assert row.run_seconds == pytest.approx(seconds)
    assert row.dynamic_joules == pytest.approx(dynamic)
    assert done.counted.dynamic == pytest.approx(dynamic)
    assert done.counted.idle == pytest.approx(seconds * 2 * 20)
    assert done.counted.base == pytest.approx(seconds * 100)


def test_n_gpus_draw_n_times_as_much_and_run_as_long() -> None:
    one, two = ran(job(gpus=1)).rows[0], ran(job(gpus=2)).rows[0]
    assert two.run_seconds == one.run_seconds
    assert two.dynamic_joules == 2 * one.dynamic_joules


def test_a_job_that_does_not_fit_waits_for_the_one_before() -> None:
    done = ran(job("first", gpus=2, seconds=100), job("second", gpus=2, seconds=50, at=10))
    first, second = done.rows
    assert (first.started_at, first.ended_at, first.waited_seconds) == (0, 100, 0)
    assert (second.started_at, second.ended_at, second.waited_seconds) == (100, 150, 90)
    assert done.horizon == 150


def test_a_busy_gpu_never_draws_less_than_an_idle_one() -> None:
    done = ran(job(kind="doze"))
    assert done.counted == Joules(dynamic=0, idle=4000, base=10_000, boot=0)


def test_a_job_that_no_node_holds_takes_whole_nodes_of_one_model() -> None:
    done = ran(job(gpus=4), on=[node("a"), node("b", gpu_model=SLOW), node("c")])
    (started,) = [event for event in done.events if event.kind is EventKind.STARTED]
    assert sorted(started.gpus) == [("a", 2), ("c", 2)]
    assert done.counted.dynamic == pytest.approx(4 * 100 * 160)


def test_a_new_limit_counts_from_its_moment_on() -> None:
    def lower(view: View) -> Sequence[Step]:
        return [SetLimit("j", 100)] if view.now == 40 else [WakeUp(40)] if view.now < 40 else []

    done = ran(job(seconds=100), policy=Told(lower))
    (row,) = done.rows
    assert row.run_seconds == pytest.approx(40 + 60 / 0.5)
    assert row.dynamic_joules == pytest.approx(40 * 160 + 120 * 70)
    assert row.limit_changes == 1


def test_the_same_limit_again_is_no_change() -> None:
    def again(view: View) -> Sequence[Step]:
        return [SetLimit(name, running.limit_watts) for name, running in view.running.items()]

    done = ran(job("a", seconds=100), job("b", seconds=100, at=10), policy=Told(again))
    assert [row.limit_changes for row in done.rows] == [0, 0]


def test_done_is_the_share_of_the_work() -> None:
    seen = {}

    def look(view: View) -> Sequence[Step]:
        if "j" in view.running:
            seen[view.now] = view.running["j"].done
        return [WakeUp(25), WakeUp(80)] if view.now == 0 else [SetLimit("j", 100)] if view.now == 25 else []

    ran(job(seconds=100), policy=Told(look))
    assert seen[25] == pytest.approx(0.25)
    assert seen[80] == pytest.approx((25 + 55 * 0.5) / 100)


def test_what_happens_at_one_moment_is_asked_about_once() -> None:
    policy = FirstFit()
    ran(job("a"), job("b"), job("c", at=100), job("d", at=100, seconds=10), policy=policy)
    assert policy.asked.count(0) == 1
    assert policy.asked.count(100) == 1  # two ends and two arrivals


def test_waiting_jobs_are_seen_by_submission() -> None:
    seen: list[list[str]] = []

    def look(view: View) -> Sequence[Step]:
        seen.append([waiting.name for waiting in view.waiting])
        return []

    ran(job("c", at=0, gpus=2), job("b", at=1), job("a", at=2), job("z", at=0.5), policy=Told(look))
    assert seen[3] == ["z", "b", "a"]


def orders_of_equals(seeds: int) -> set[tuple[str, ...]]:
    jobs = [job(name) for name in "abcd"]
    found = set()
    for seed in range(seeds):
        rows = ran(*jobs, on=[node(gpus=1)], seed=seed).rows
        found.add(tuple(row.name for row in sorted(rows, key=lambda row: row.started_at)))
    return found


def test_the_seed_breaks_ties() -> None:
    assert len(orders_of_equals(20)) > 5


def test_whoever_takes_the_first_of_equal_nodes_takes_another_with_another_seed() -> None:
    on = [node("x"), node("y"), node("z")]
    taken = {event.gpus for seed in range(20) for event in ran(job(), on=on, seed=seed).events if event.gpus}
    assert taken == {(("x", 1),), (("y", 1),), (("z", 1),)}


def test_the_order_in_which_jobs_and_nodes_are_given_says_nothing() -> None:
    jobs = [job(name, seconds=10 + ord(name)) for name in "abcdef"]
    nodes: list[SimNode] = [node("x", gpus=1), node("y", gpus=1, gpu_model=SLOW)]
    assert ran(*jobs, on=nodes, seed=3).events == ran(*jobs[::-1], on=nodes[::-1], seed=3).events


def test_progress_is_told_for_every_job() -> None:
    told: list[tuple[int, int]] = []
    jobs = [job("a"), job("b"), job("c")]
    run(jobs, [node()], CURVES, FirstFit(), seed=0, progress=lambda done, of: told.append((done, of)))
    assert told == [(1, 3), (2, 3), (3, 3)]
