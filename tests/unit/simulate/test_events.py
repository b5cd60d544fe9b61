"""Joules by integration over a log that is written by hand."""

from __future__ import annotations

import pytest

from ballast.simulate.engine.events import Event, EventKind, Joules, PowerStep, integrate, intervals, power_steps
from tests.unit.simulate.running import node

# Node a: 2 GPUs of 20 W idle, 100 W base. Job j works from 10 to 40, first at 100 W above idle, from 20 at 50 W.
LOG = [
    Event(5, EventKind.SUBMITTED, job="j"),
    Event(10, EventKind.STARTED, job="j", gpus=(("a", 1),), gpu_model="Fast", limit_watts=200),
    Event(10, EventKind.RUNS, job="j", limit_watts=200, watts=100, work_per_second=1),
    Event(20, EventKind.LIMIT, job="j", limit_watts=100, watts=50, work_per_second=0.5),
    Event(40, EventKind.ENDED, job="j"),
]
OFF_AND_ON = [
    Event(50, EventKind.NODE_OFF, node="a"),
    Event(100, EventKind.BOOT, node="a", watts=500),
    Event(160, EventKind.BOOTED, node="a"),
]


def test_a_job_is_summed_from_point_to_point() -> None:
    spent = integrate(LOG, [node()], 40)
    assert spent.joules == Joules(dynamic=100 * 10 + 50 * 20, idle=2 * 20 * 40, base=100 * 40, boot=0)
    assert spent.dynamic_joules == {"j": 2000}
    assert spent.work == {"j": 10 + 0.5 * 20}
    assert spent.run_seconds == {"j": 30}
    assert spent.joules.total == 2000 + 1600 + 4000


def test_idle_power_counts_until_the_horizon() -> None:
    assert integrate(LOG, [node()], 100).joules == Joules(dynamic=2000, idle=4000, base=10000, boot=0)


def test_what_is_later_than_the_horizon_counts_for_nothing() -> None:
    assert integrate(LOG, [node()], 15).joules == Joules(dynamic=500, idle=600, base=1500, boot=0)


@pytest.mark.parametrize(
    ("horizon", "on_seconds", "boot"), [(60, 50, 0), (130, 50, 15_000), (160, 50, 30_000), (200, 90, 30_000)]
)
def test_a_node_that_is_off_draws_nothing_and_one_that_boots_its_boot(
    horizon: float, on_seconds: float, boot: float
) -> None:
    spent = integrate([*LOG, *OFF_AND_ON], [node()], horizon)
    assert spent.joules == Joules(dynamic=2000, idle=40 * on_seconds, base=100 * on_seconds, boot=boot)


def test_a_new_limit_before_a_job_works_draws_nothing() -> None:
    log = [
        Event(0, EventKind.STARTED, job="j", gpus=(("a", 1),)),
        Event(10, EventKind.LIMIT, job="j", limit_watts=100),
        Event(60, EventKind.RUNS, job="j", watts=100, work_per_second=1),
        Event(70, EventKind.STOPPED, job="j"),
    ]
    spent = integrate(log, [node()], 100)
    assert (spent.dynamic_joules, spent.run_seconds) == ({"j": 1000}, {"j": 10})


def test_power_over_time() -> None:
    steps = power_steps([*LOG, *OFF_AND_ON], [node()], 200)
    assert steps == [
        PowerStep(0, 140, 140),
        PowerStep(10, 240, 140),
        PowerStep(20, 190, 140),
        PowerStep(40, 140, 140),
        PowerStep(50, 0, 0),
        PowerStep(100, 500, 0),
        PowerStep(160, 140, 140),
    ]


def test_the_area_under_power_is_the_joules() -> None:
    log = [*LOG, *OFF_AND_ON]
    area = sum((end - start) * watts for start, end, watts in intervals(power_steps(log, [node()], 200), 200))
    assert area == pytest.approx(integrate(log, [node()], 200).joules.total)


def test_what_begins_and_ends_at_once_leaves_no_trace_in_power() -> None:
    log = [
        Event(10, EventKind.RUNS, job="j", watts=0.1),
        Event(10, EventKind.RUNS, job="k", watts=0.2),
        Event(10, EventKind.ENDED, job="j"),
        Event(10, EventKind.ENDED, job="k"),
        Event(20, EventKind.NODE_OFF, node="a"),
    ]
    assert power_steps(log, [node()], 30) == [PowerStep(0, 140, 140), PowerStep(10, 140, 140), PowerStep(20, 0, 0)]
