"""What a problem does not take is refused with the field, its value and the remedy."""

from __future__ import annotations

from dataclasses import replace

import pytest

from ballast.errors import UserError
from ballast.simulate.bounds.milp import optimum
from tests.unit.simulate.bounds.instances import SWITCHING, job, node, problem


def test_more_jobs_than_the_exact_optimum_takes() -> None:
    many = problem([job(f"j{number}") for number in range(9)], [node("n")], 1000)
    with pytest.raises(UserError, match=r"jobs are 9: the exact optimum takes 8 at most; give fewer, or use the relax"):
        optimum(many)


def test_fewer_jobs_where_nodes_are_switched_off() -> None:
    many = problem([job(f"j{number}") for number in range(6)], [node("n")], 1000, options=SWITCHING)
    with pytest.raises(UserError, match=r"jobs are 6: the exact optimum takes 5 at most where nodes are switched off"):
        optimum(many)


def test_more_nodes_than_the_exact_optimum_takes() -> None:
    with pytest.raises(UserError, match=r"nodes are 9: the exact optimum takes 8 at most"):
        optimum(problem([job("a")], [node(f"n{number}") for number in range(9)], 1000))


def test_a_job_that_no_model_has_gpus_for() -> None:
    with pytest.raises(UserError, match=r"job a: gpus is 5: no GPU model of the cluster has so many"):
        problem([job("a", gpus=5)], [node("n1"), node("n2"), node("m", "new")], 1000)


def test_a_horizon_before_a_job_could_end() -> None:
    with pytest.raises(UserError, match=r"job a runs 12 s at least and may run 10 s at most: give a later horizon"):
        problem([job("a", at=90)], [node("n")], 100)


@pytest.mark.parametrize("horizon", [0.0, -1.0, float("inf"), float("nan")])
def test_a_horizon_that_is_no_time(horizon: float) -> None:
    with pytest.raises(UserError, match="it must be a positive number of seconds"):
        problem([job("a")], [node("n")], horizon)


def test_nodes_of_one_model_that_differ_in_what_a_curve_depends_on() -> None:
    other = replace(node("m"), idle_watts=30.0)
    with pytest.raises(UserError, match=r"idle_watts of node m is 30.0 and that of n 20.0"):
        problem([job("a")], [node("n"), other], 100)


def test_a_name_that_occurs_twice() -> None:
    with pytest.raises(UserError, match="job a is given 2 times"):
        problem([job("a"), job("a")], [node("n")], 100)


def test_limits_outside_the_range() -> None:
    with pytest.raises(UserError, match=r"limits of old are \(90.0,\): .* from 100 to 200 W"):
        replace(problem([job("a")], [node("n")], 100), limits={"old": (90.0,)})


def test_jobs_that_fit_one_by_one_but_not_together() -> None:
    with pytest.raises(UserError, match=r"no schedule ends 2 jobs on 1 nodes by the horizon of 20 s"):
        optimum(problem([job("a"), job("b")], [node("n", gpus=1)], 20))
