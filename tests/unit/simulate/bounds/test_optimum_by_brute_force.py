"""The exact optimum takes as many joules as the best of everything that can be tried."""

from __future__ import annotations

import random
from itertools import product

import pytest

from ballast.errors import UserError
from ballast.simulate.bounds.milp import optimum
from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.relaxation import lower_bound
from tests.unit.simulate.bounds.brute import Mode, fewest_joules, fewest_joules_switching, modes
from tests.unit.simulate.bounds.instances import SWITCHING, job, node, problem

DRAWS = range(20)


def drawn(seed: int) -> Problem:
    """Return a problem with submissions, sizes and a horizon that make jobs compete."""
    dice = random.Random(seed)  # noqa: S311
    jobs = [
        job(
            f"job-{number}",
            gpus=dice.choice([1, 1, 2, 2]),
            seconds=dice.choice([6, 12, 24]),
            at=dice.choice([0, 0, 3, 10]),
            kind=dice.choice(["dense", "dense", "light"]),
            slowdown=dice.choice([60, 150, 1000]),
            deadline=dice.choice([None, None, 40]),
        )
        for number in range(dice.randint(3, 4))
    ]
    nodes = [node("o1", gpus=2), node("n1", "new", gpus=dice.choice([1, 2]))]
    horizon = dice.choice([34, 36, 40])
    return problem(jobs, nodes, horizon, deadlines=dice.random() < 0.5, only_points=True)


@pytest.mark.parametrize("seed", DRAWS)
def test_with_all_nodes_on(seed: int) -> None:
    instance = drawn(seed)
    tried = fewest_joules(instance)
    if tried is None:
        with pytest.raises(UserError, match="no schedule"):
            optimum(instance)
        return
    found = optimum(instance)
    assert found.proven
    assert found.joules == pytest.approx(tried, rel=1e-9)
    assert lower_bound(instance).joules <= tried * (1 + 1e-9)


def test_the_draws_are_not_all_easy() -> None:
    """Else the comparison above would say little: the best point for each job alone would always do."""
    kinds = {"none": 0, "short": 0, "easy": 0}
    for seed in DRAWS:
        instance = drawn(seed)
        tried = fewest_joules(instance)
        standby = instance.horizon * sum(instance.standby_watts(each) for each in instance.nodes)
        alone = sum(min(mode.joules for mode in modes(instance, each)) for each in instance.jobs)
        easy = tried is not None and tried <= (standby + alone) * (1 + 1e-9)
        kinds["none" if tried is None else "easy" if easy else "short"] += 1
    assert kinds["none"] >= 2
    assert kinds["short"] >= 5


@pytest.mark.parametrize("horizon", [40, 48, 56, 72])
def test_eight_jobs_on_nodes_of_one_gpu(horizon: float) -> None:
    """All are there at the beginning, so that any order on a node will do: what counts is who is with whom."""
    jobs = [job(f"job-{number}", seconds=(6, 12)[number % 2], kind="dense") for number in range(8)]
    instance = problem(jobs, [node("o", gpus=1), node("n", "new", gpus=1)], horizon, only_points=True)
    ways = [_not_dominated(modes(instance, each)) for each in jobs]
    tried = min(
        sum(mode.joules for mode in chosen)
        for chosen in product(*ways)
        if all(sum(m.seconds for m in chosen if name in m.nodes) <= horizon for name in ("o", "n"))
    )
    standby = horizon * sum(instance.standby_watts(each) for each in instance.nodes)
    found = optimum(instance)
    assert found.joules == pytest.approx(standby + tried, rel=1e-9)
    assert lower_bound(instance).joules <= found.joules * (1 + 1e-9)


def _not_dominated(ways: list[Mode]) -> list[Mode]:
    """Leave out what is slower and dearer than another way on the same node: it would help no one."""
    return [
        mode
        for mode in ways
        if not any(o.nodes == mode.nodes and o.seconds < mode.seconds and o.joules < mode.joules for o in ways)
    ]


@pytest.mark.parametrize("horizon", [8, 12, 15])
@pytest.mark.parametrize("later", [0, 7])
def test_with_nodes_switched_off(horizon: float, later: float) -> None:
    jobs = [job("a", seconds=3, slowdown=120), job("b", gpus=2, seconds=3, slowdown=120, at=min(later, horizon - 4))]
    instance = problem(jobs, [node("x"), node("y", "new")], horizon, options=SWITCHING, only_points=True)
    tried = fewest_joules_switching(instance)
    assert tried is not None
    found = optimum(instance)
    assert found.proven
    assert found.joules == pytest.approx(tried, rel=1e-9)
    assert lower_bound(instance).joules <= tried * (1 + 1e-9)
