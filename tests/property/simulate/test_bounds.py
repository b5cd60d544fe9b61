"""Lower bound, optimum, schedule: in this order, for all problems; and the optimum is what brute force finds."""

from __future__ import annotations

import math

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ballast.errors import UserError
from ballast.simulate.bounds.milp import optimum
from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.relaxation import lower_bound
from ballast.simulate.bounds.schedule import faults, total_joules
from ballast.simulate.job import TraceJob
from tests.unit.simulate.bounds.brute import fewest_joules, fewest_joules_switching, left_shifted, modes
from tests.unit.simulate.bounds.instances import SWITCHING, job, node, problem

SAME = 1 + 1e-7


@st.composite
def jobs(draw: st.DrawFn, most: int = 3) -> list[TraceJob]:
    return [
        job(
            f"job-{number}",
            gpus=draw(st.sampled_from([1, 2, 4])),
            seconds=draw(st.sampled_from([6, 12, 24])),
            at=draw(st.integers(0, 12)),
            kind=draw(st.sampled_from(["dense", "light"])),
            slowdown=draw(st.sampled_from([0, 10, 50, 400])),
            deadline=draw(st.none() | st.integers(20, 60)),
        )
        for number in range(draw(st.integers(1, most)))
    ]


@st.composite
def problems(draw: st.DrawFn, only_points: bool) -> Problem:
    nodes = [node("o1"), node("o2"), node("n1", "new", gpus=draw(st.sampled_from([1, 2])))]
    try:
        return problem(
            draw(jobs()),
            nodes,
            draw(st.integers(30, 80)),
            slowdown=draw(st.booleans()),
            deadlines=draw(st.booleans()),
            only_points=only_points,
        )
    except UserError:
        assume(False)
        raise


@settings(max_examples=25)
@given(problems(only_points=True))
def test_the_optimum_is_what_brute_force_finds_and_the_bound_is_not_above(instance: Problem) -> None:
    tried = fewest_joules(instance)
    if tried is None:
        try:
            found = optimum(instance)
        except UserError:
            return
        raise AssertionError(f"brute force finds no schedule, and the solver {found}")
    found = optimum(instance)
    assert math.isclose(found.joules, tried, rel_tol=1e-7)
    assert lower_bound(instance).joules <= tried * SAME


@settings(max_examples=25)
@given(problems(only_points=False), st.data())
def test_no_schedule_takes_less_than_the_optimum_or_the_bound(instance: Problem, data: st.DataObject) -> None:
    order = data.draw(st.permutations(instance.jobs))
    ways = [modes(instance, each) for each in order]
    assume(all(ways))
    schedule = left_shifted(instance, tuple(data.draw(st.sampled_from(each)) for each in ways))
    if schedule is None:
        assume(False)
        return
    assert faults(instance, schedule) == []
    joules = total_joules(instance, schedule)
    best = optimum(instance)
    assert faults(instance, best.schedule) == []
    assert best.joules <= joules * SAME
    assert lower_bound(instance).joules <= best.joules * SAME


@settings(max_examples=10)
@given(jobs(most=2), st.integers(10, 14), st.booleans())
def test_the_same_where_nodes_are_switched_off(drawn: list[TraceJob], horizon: int, slowdown: bool) -> None:
    short = [
        job(each.name, min(each.gpus, 2), 6, each.submitted_at % 4, each.kind, each.max_slowdown_percent)
        for each in drawn
    ]
    nodes = [node("o1"), node("n1", "new")]
    try:
        instance = problem(short, nodes, horizon, slowdown=slowdown, options=SWITCHING, only_points=True)
    except UserError:
        assume(False)
    tried = fewest_joules_switching(instance)
    if tried is None:
        assume(False)
        return
    found = optimum(instance)
    assert math.isclose(found.joules, tried, rel_tol=1e-7)
    assert lower_bound(instance).joules <= tried * SAME
