"""When the optimum switches a node off, where it can be told by hand."""

from __future__ import annotations

import pytest

from ballast.simulate.bounds.milp import optimum
from ballast.simulate.bounds.problem import Problem
from ballast.simulate.engine.options import Options
from tests.unit.simulate.bounds.instances import job, node, problem

AT_WORK = 2 * 12 * 170  # two jobs at 200 W
STANDBY_WATTS = 140


def two_jobs(pause: float, boot_joules: float = 30) -> Problem:
    """Return a problem in which one job must run for 12 s from 0 on, and one for as long after a pause."""
    jobs = [job("a", slowdown=0, deadline=12), job("b", slowdown=0, at=12 + pause)]
    options = Options(switch_off_after_seconds=2, boot_seconds=3, boot_joules=boot_joules)
    return problem(jobs, [node("n")], 24 + pause, deadlines=True, options=options)


def test_off_and_on_again_takes_its_time() -> None:
    found = optimum(two_jobs(pause=4.9))
    assert found.joules == pytest.approx(28.9 * STANDBY_WATTS + AT_WORK)
    [stretch] = found.schedule.on["n"]
    assert list(stretch) == pytest.approx([0, 28.9])


def test_a_pause_that_is_just_long_enough_is_used() -> None:
    found = optimum(two_jobs(pause=5))
    assert found.joules == pytest.approx(26 * STANDBY_WATTS + 30 + AT_WORK)
    first, second = found.schedule.on["n"]
    assert [*first, *second] == pytest.approx([0, 14, 17, 29])


def test_a_boot_that_takes_more_than_the_pause_is_left() -> None:
    """Off it would be for 4 s, which saves 560 J."""
    stays, leaves = (optimum(two_jobs(pause=6, boot_joules=joules)) for joules in (561, 559))
    assert len(stays.schedule.on["n"]) == 1
    assert len(leaves.schedule.on["n"]) == 2


def test_jobs_wait_for_each_other_where_that_lets_a_node_be_off() -> None:
    """One after the other the two would keep the node on for 12 s more."""
    jobs = [job("a", slowdown=0), job("b", slowdown=0, at=12)]
    options = Options(switch_off_after_seconds=0, boot_seconds=3, boot_joules=30)
    found = optimum(problem(jobs, [node("n")], 100, options=options))
    assert found.schedule.placed[0].start == pytest.approx(found.schedule.placed[1].start)
    assert found.joules == pytest.approx(12 * STANDBY_WATTS + 30 + AT_WORK)
