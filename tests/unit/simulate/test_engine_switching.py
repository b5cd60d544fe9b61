"""Nodes that are empty for long are switched off; whoever starts on one waits until it is up, and its boot is paid."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ballast.simulate.engine.events import Event, EventKind, Joules
from ballast.simulate.engine.options import Options
from ballast.simulate.policy import SetLimit, Step, Stop, View, WakeUp
from tests.unit.simulate.running import FirstFit, Told, job, node, ran

OFF = Options(switch_off_after_seconds=120)
NODE = {EventKind.NODE_OFF, EventKind.BOOT, EventKind.BOOTED}


def of_nodes(events: Sequence[Event]) -> list[tuple[float, str, str]]:
    return [(event.at, event.kind.value, event.node) for event in events if event.kind in NODE]


def test_without_the_option_nodes_stay_on() -> None:
    done = ran(job(at=10_000))
    assert of_nodes(done.events) == []
    assert done.counted.base == 10_100 * 100


def test_an_empty_node_goes_off_and_boots_for_the_next_job() -> None:
    done = ran(job(at=1000), options=OFF)
    assert of_nodes(done.events) == [
        (120, "node-off", "a"),
        (1000, "boot", "a"),
        (1060, "booted", "a"),
        (1260 + 20, "node-off", "a"),
    ]
    (row,) = done.rows
    assert (row.started_at, row.ended_at, row.waited_seconds, row.run_seconds) == (1060, 1160, 60, 100)
    assert done.counted == Joules(dynamic=100 * 160, idle=220 * 40, base=220 * 100, boot=30_000)


def test_after_the_last_job_nodes_go_off_too() -> None:
    done = ran(job(seconds=100), options=OFF)
    assert done.joules(1000).base == 220 * 100
    assert done.horizon == 100


def test_a_node_in_use_stays_on_and_counts_anew_when_it_is_left() -> None:
    done = ran(job("i", seconds=50, at=100), job("j", seconds=50, at=269), options=OFF)
    assert of_nodes(done.events) == [(319 + 120, "node-off", "a")]


def test_jobs_that_start_on_a_booting_node_wait_for_the_rest_of_the_boot() -> None:
    done = ran(job("i", at=1000), job("j", at=1040), options=OFF)
    assert [(row.name, row.started_at) for row in done.rows] == [("i", 1060), ("j", 1060)]
    assert done.counted.boot == 30_000


def test_a_large_job_waits_for_the_last_of_its_nodes() -> None:
    on = [node("a"), node("b")]
    # One of the two keeps a node on until 500 s: it is up when the large job comes, the other is off.
    done = ran(job("small", seconds=500), job("large", gpus=4, at=550, seconds=10), on=on, options=OFF)
    large = done.rows[1]
    assert large.started_at == 610
    assert [kind for _, kind, _ in of_nodes(done.events)].count("boot") == 1


def test_a_policy_sees_which_nodes_are_off_and_when_a_job_will_begin() -> None:
    seen: dict[float, tuple[frozenset[str], float | None]] = {}

    def look(view: View) -> Sequence[Step]:
        running = view.running.get("j")
        seen[view.now] = view.off, running.started_at if running else None
        return [WakeUp(500), WakeUp(1030)] if view.now == 0 else []

    ran(job("zero", seconds=1), job(at=1000), policy=Told(look), options=OFF)
    assert seen[500] == (frozenset({"a"}), None)
    assert seen[1030] == (frozenset(), 1060)


def test_the_policy_is_asked_when_a_node_is_up() -> None:
    policy = FirstFit()
    ran(job(at=1000), policy=policy, options=OFF)
    assert policy.asked == [1000, 1060, 1090]


def test_a_limit_that_is_set_while_the_node_boots_holds_from_the_begin() -> None:
    def lower(view: View) -> Sequence[Step]:
        if view.now == 1000:
            return [WakeUp(1030)]
        return [SetLimit("j", 100)] if view.now == 1030 else []

    (row,) = ran(job(at=1000), policy=Told(lower), options=OFF).rows
    assert (row.started_at, row.run_seconds) == (1060, 200)
    assert row.dynamic_joules == pytest.approx(200 * 70)


def test_a_job_that_is_stopped_while_its_node_boots_leaves_it_to_come_up() -> None:
    class Hesitant(FirstFit):
        def decide(self, view: View) -> Sequence[Step]:
            if view.now == 1000:
                return [*super().decide(view), WakeUp(1030)]
            if view.now == 1030:
                return [Stop("j"), WakeUp(5000)]
            return super().decide(view) if view.now == 5000 else []

    done = ran(job(at=1000), policy=Hesitant(), options=OFF)
    assert of_nodes(done.events)[:4] == [
        (120, "node-off", "a"),
        (1000, "boot", "a"),
        (1060, "booted", "a"),
        (1180, "node-off", "a"),
    ]
    assert done.rows[0].started_at == 5060
