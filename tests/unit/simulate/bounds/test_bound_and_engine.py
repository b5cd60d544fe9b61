"""The engine counts joules as the optimum does, and no policy of its arms gets below the bound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from ballast.simulate.bounds.milp import optimum
from ballast.simulate.bounds.problem import Problem
from ballast.simulate.bounds.relaxation import lower_bound
from ballast.simulate.bounds.schedule import Schedule
from ballast.simulate.engine.engine import Run, run
from ballast.simulate.engine.options import Options
from ballast.simulate.policies.fifo import fifo_binpack, fifo_spread
from ballast.simulate.policies.per_job_limit import per_job_limit
from ballast.simulate.policies.static_cap import static_cap
from ballast.simulate.policy import Policy, Start, Step, View, WakeUp
from tests.unit.simulate.bounds.instances import SWITCHING, job, node, problem

ARMS: tuple[Callable[[int], Policy], ...] = (fifo_binpack, fifo_spread, static_cap, per_job_limit)


class Replay:
    """Does what a schedule says, when it says so."""

    name = "replay"
    reference = "the optimum"
    keeps_slowdown = True

    def __init__(self, schedule: Schedule) -> None:
        self._placed = {placed.job: placed for placed in schedule.placed}

    def decide(self, view: View) -> Sequence[Step]:
        steps: list[Step] = []
        for waiting in view.waiting:
            placed = self._placed[waiting.name]
            fits = all(view.free[name] >= count for name, count in placed.nodes.items())
            if placed.start > view.now + 1e-6:
                steps.append(WakeUp(placed.start))
            elif fits:
                steps.append(Start(waiting.name, placed.nodes, placed.limit_watts))
        return steps


def instance(options: Options | None = None) -> Problem:
    """Return jobs that compete for the better GPUs."""
    jobs = [
        job(f"job-{number}", gpus=1 + number % 2, seconds=40 + 7 * number, at=9 * number, kind=kind, slowdown=60)
        for number, kind in enumerate(["dense", "light", "dense", "dense", "light"])
    ]
    return problem(jobs, [node("o"), node("n", "new")], 400, options=options)


def simulated(given: Problem, policy: Policy) -> Run:
    options = replace(given.options, reading_seconds=1.0)
    return run(given.jobs, given.nodes, given.curves, policy, seed=1, options=options)


def test_the_engine_counts_the_optimum_as_it_counts_itself() -> None:
    best = optimum(instance())
    replayed = simulated(instance(), Replay(best.schedule))
    assert replayed.joules(400).total == pytest.approx(best.joules, rel=1e-6)
    assert all(row.slowdown_kept for row in replayed.rows)


@pytest.mark.parametrize("options", [None, SWITCHING])
@pytest.mark.parametrize("arm", ARMS)
def test_no_arm_is_below_the_bound(arm: Callable[[int], Policy], options: Options | None) -> None:
    given = instance(options)
    ended = simulated(given, arm(1))
    horizon = ended.horizon + 10
    loose = replace(given, horizon=horizon, keeps_slowdown=False)
    assert ended.joules(horizon).total >= lower_bound(loose).joules
    if all(row.slowdown_kept for row in ended.rows):
        assert ended.joules(horizon).total >= lower_bound(replace(given, horizon=horizon)).joules
