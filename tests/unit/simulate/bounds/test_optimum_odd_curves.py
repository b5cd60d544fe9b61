"""Curves as they are measured: not faster at every higher limit, and not always above the idle power."""

from __future__ import annotations

import pytest

from ballast.simulate.bounds.milp import optimum
from ballast.simulate.bounds.relaxation import lower_bound
from ballast.simulate.bounds.schedule import Placed, Schedule, faults, total_joules
from tests.unit.simulate.bounds.instances import BASE_WATTS, IDLE_WATTS, curve, curves, job, node, problem

STANDBY_WATTS = BASE_WATTS + 2 * IDLE_WATTS


def test_a_higher_limit_at_which_a_job_is_slower() -> None:
    """12 s take 1560 J above idle, 8 s 2160 J and 10 s, at the highest limit, 1600 J; 10 s is all there is."""
    odd = curves(curve("dense", "old", (100, 1.0, 150), (150, 1.5, 290), (200, 1.2, 180)))
    found = optimum(problem([job("a")], [node("n")], horizon=10, given=odd))
    [placed] = found.schedule.placed
    assert placed.limit_watts == pytest.approx(200)
    assert found.joules == pytest.approx(10 * STANDBY_WATTS + 1600)


def test_no_gpu_draws_less_for_being_busy() -> None:
    """At 125 W, where the straight piece crosses the 20 W of an idle GPU, the job costs nothing and is faster."""
    odd = curves(curve("dense", "old", (100, 0.5, 10), (200, 1.0, 50)))
    faint = problem([job("a")], [node("n")], horizon=24, given=odd)
    assert [point.joules for point in faint.points(faint.jobs[0], "old")] == pytest.approx([0, 0, 12 * 30])
    within = problem([job("a")], [node("n")], horizon=12 / 0.625, given=odd)
    for instance in (faint, within):
        standby = instance.horizon * STANDBY_WATTS
        assert optimum(instance).joules == pytest.approx(standby)
        assert lower_bound(instance).joules == pytest.approx(standby)


def test_the_judge_of_a_schedule_has_it_likewise() -> None:
    odd = curves(curve("dense", "old", (100, 0.5, 10), (200, 1.0, 50)))
    faint = problem([job("a")], [node("n")], horizon=24, given=odd)
    slow = Schedule((Placed("a", {"n": 1}, "old", 100, 0, 24),))
    assert faults(faint, slow) == []
    assert total_joules(faint, slow) == pytest.approx(24 * STANDBY_WATTS)
