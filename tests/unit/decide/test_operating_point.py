"""Which operating point a job's pods ask for, and what stands in their nodes' NodePowers for it."""

from __future__ import annotations

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import Outcome
from ballast.decide.operating_point import asks, assignments
from tests.builders import JobBuilder, job, pod
from tests.power_builders import ask, capped_job, gpu, on_gpus, point


def placed(builder: JobBuilder) -> JobBuilder:
    return on_gpus(builder.placed_on("a", "b")).with_pods(pod(0).gated(), pod(1).gated())


def test_each_pod_asks_on_its_node_before_it_can_start() -> None:
    found = asks(placed(capped_job(watts="150W", clock="1410MHz")).build())
    assert [(each.node, each.power_limit_watts, each.max_clock_hertz) for each in found] == [
        ("a", 150.0, 1_410_000_000),
        ("b", 150.0, 1_410_000_000),
    ]


@pytest.mark.parametrize("mode", ["Auto", "None"])
def test_other_modes_ask_nothing(mode: str) -> None:
    builder = job("train").with_gpus(1).at_point(mode=mode)
    assert asks(placed(builder).build()) == ()


def test_pods_without_gpus_ask_nothing() -> None:
    assert asks(capped_job().placed_on("a").with_pods(pod(0)).build()) == ()


def test_a_pod_that_is_being_stopped_asks_until_it_has_ended() -> None:
    stopping = on_gpus(capped_job().running_on("a", "b")).stopping(Outcome.SUSPENDED, Reason.SUSPENDED)
    found = asks(stopping.with_pods(pod(0).running_on("a"), pod(1).on("b").succeeded()).build())
    assert [each.node for each in found] == ["a"]


def test_a_waiting_job_asks_nothing() -> None:
    assert asks(capped_job().build()) == ()


def test_entries_are_in_the_order_of_uids_whatever_the_order_of_jobs() -> None:
    one, other = ask("uid-2"), ask("uid-1", watts=200)
    assert assignments([one, other], [gpu()]) == assignments([other, one], [gpu()])
    assert [entry.uid for entry in assignments([one, other], [gpu()])] == ["uid-1", "uid-2"]


def test_clocks_are_locked_from_the_lowest_that_all_gpus_know() -> None:
    [entry] = assignments([ask("uid", mhz=1410)], [gpu("GPU-0", lowest_mhz=210), gpu("GPU-1", lowest_mhz=345)])
    assert entry.operating_point == point(150, mhz=1410, lowest_mhz=345)


def test_a_clock_below_the_lowest_is_left_to_the_agent_to_refuse() -> None:
    [entry] = assignments([ask("uid", mhz=100)], [gpu(lowest_mhz=210)])
    assert entry.operating_point == point(150, mhz=100)


def test_nothing_is_asked_of_an_agent_that_has_not_told_of_its_gpus() -> None:
    assert assignments([ask("uid")], []) == ()
