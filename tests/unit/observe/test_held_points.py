"""A job is at a point while every one of its GPUs has exactly what was asked of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.api.jobstatus import Phase
from ballast.decide.gpu_asks import Ask, HeldGpu
from ballast.observe.boards import in_common
from ballast.observe.held_points import HeldPoint, held_point
from tests.builders import JobBuilder, job, pod
from tests.power_builders import MHZ, ask, held, on_gpus, point
from tests.unit.observe.learned import board

JOB = on_gpus(job("train").with_gpus(1).replicas(2).running_on("a", "b"))
PODS = (pod(0, JOB).running_on("a"), pod(1, JOB).running_on("b"))
BOARDS = in_common([board()])
UIDS = tuple(each.uid for each in PODS)


def at(first: HeldGpu | None, second: HeldGpu | None, *asked: Ask, of: JobBuilder = JOB) -> HeldPoint | None:
    """Return at which point a gang of two is."""
    gpus = {uid: (each,) for uid, each in zip(UIDS, (first, second), strict=True) if each is not None}
    return held_point(of.with_pods(*PODS).holding(gpus).build(), asked, BOARDS)


def both(watts: float | None = 150, mhz: int | None = None) -> tuple[Ask, Ask]:
    return ask(UIDS[0], "a", watts, mhz), ask(UIDS[1], "b", watts, mhz)


def test_as_found_where_nothing_is_asked() -> None:
    assert at(held("GPU-0"), held("GPU-1")) == HeldPoint(1, UIDS, 2, 300.0, 1740 * MHZ)


def test_what_was_asked_and_read_back() -> None:
    found = at(held("GPU-0", point(150)), held("GPU-1", point(150)), *both())
    assert found == HeldPoint(1, UIDS, 2, 150.0, 1740 * MHZ)


def test_a_clock_that_was_locked() -> None:
    found = at(held("GPU-0", point(None, 1395)), held("GPU-1", point(None, 1395)), *both(None, 1400))
    assert found == HeldPoint(1, UIDS, 2, 300.0, 1395 * MHZ)


@pytest.mark.parametrize(
    "second",
    [
        None,  # not seen yet
        held("GPU-1"),  # not set yet
        held("GPU-1", point(200)),
        held("GPU-1", point(150, 1400)),  # still locked
        held("GPU-1", point(150), problem="lost"),
        held("GPU-1", point(150), shared=True),
    ],
)
def test_none_while_one_gpu_has_something_else(second: HeldGpu | None) -> None:
    assert at(held("GPU-0", point(150)), second, *both()) is None


def test_none_as_soon_as_something_else_is_asked() -> None:
    confirmed = held("GPU-0", point(150)), held("GPU-1", point(150))
    assert at(*confirmed, *both(175)) is None
    assert at(*confirmed) is None, "what is taken back is not as found until the agent says so"
    assert at(held("GPU-0"), held("GPU-1"), *both(175)) is None


def test_none_where_limits_that_were_found_differ() -> None:
    assert at(held("GPU-0"), replace(held("GPU-1"), found_watts=250.0)) is None


def test_none_while_it_does_not_run() -> None:
    placing = on_gpus(job("train").with_gpus(1).replicas(2).placed_on("a", "b"))
    assert at(held("GPU-0"), held("GPU-1"), of=placing) is None
    ended = JOB.with_status(phase=Phase.SUCCEEDED)
    assert at(held("GPU-0"), held("GPU-1"), of=ended) is None


def test_none_when_a_pod_has_ended() -> None:
    gpus = {uid: (held(f"GPU-{index}"),) for index, uid in enumerate(UIDS)}
    gang = JOB.with_pods(PODS[0], PODS[1].succeeded()).holding(gpus).build()
    assert held_point(gang, (), BOARDS) is None


def test_none_on_boards_that_are_divided_or_tell_no_clock() -> None:
    gpus = {uid: (held(f"GPU-{index}"),) for index, uid in enumerate(UIDS)}
    gang = JOB.with_pods(*PODS).holding(gpus).build()
    assert BOARDS is not None
    assert held_point(gang, (), replace(BOARDS, divided=True)) is None
    assert held_point(gang, (), replace(BOARDS, max_hertz=None)) is None
    assert held_point(gang, (), None) is None
