"""Any jobs on any cluster: all end, no GPU is held twice, joules are the log's, work is equal, and a seed says it all.

The policy starts what fits where a die says, and changes limits and stops jobs as it likes: whatever the engine lets
it do, these must hold.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from ballast.simulate.engine.engine import Run, run
from ballast.simulate.engine.events import EventKind, integrate, intervals
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import check, common_horizon, summarize
from ballast.simulate.job import TraceJob
from ballast.simulate.policy import SetLimit, SimNode, Start, Step, Stop, View, WakeUp
from tests.unit.simulate.running import CURVES, FAST, SLOW, FirstFit, fits, node

HELD = {EventKind.STARTED, EventKind.ENDED, EventKind.STOPPED}


@dataclass(frozen=True)
class Instance:
    """What an arm is given."""

    jobs: tuple[TraceJob, ...]
    nodes: tuple[SimNode, ...]
    options: Options
    seed: int

    def run(self, policy: FirstFit) -> Run:
        return run(self.jobs, self.nodes, CURVES, policy, seed=self.seed, options=self.options)


class Whimsical(FirstFit):
    """Drops half of what first fit would do, changes limits and stops jobs; always asks again."""

    name = "whimsical"

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._dice = Random(seed)  # noqa: S311
        self._stops = 20

    def decide(self, view: View) -> Sequence[Step]:
        steps: list[Step] = []
        dice = self._dice
        for name in view.running:
            if dice.random() < 0.1 and self._stops:
                self._stops -= 1
                steps.append(Stop(name))
            elif dice.random() < 0.3:
                steps.append(SetLimit(name, dice.uniform(100, 200)))
        free = dict(view.free)
        for waiting in view.waiting:
            taken = fits(View(view.now, (), {}, view.nodes, free), waiting)
            if taken is not None and dice.random() < 0.5:
                for name, count in taken.items():
                    free[name] -= count
                steps.append(Start(waiting.name, taken, dice.choice([100, 150, 200])))
        return [*steps, WakeUp(view.now + dice.uniform(1, 200))]


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    sizes = draw(st.lists(st.tuples(st.sampled_from([FAST, SLOW]), st.integers(1, 4)), min_size=1, max_size=4))
    nodes = tuple(node(f"n{index}", gpus, model) for index, (model, gpus) in enumerate(sizes))
    # A job either fits on the largest node, or takes whole nodes that `fits` finds.
    most = max(gpus for _, gpus in sizes)
    jobs = draw(
        st.lists(
            st.tuples(st.integers(0, 400), st.integers(1, most), st.floats(1, 900), st.sampled_from(["train", "doze"])),
            min_size=1,
            max_size=12,
        )
    )
    made = [
        TraceJob(f"j{index:02}", kind, float(at), gpus, seconds) for index, (at, gpus, seconds, kind) in enumerate(jobs)
    ]
    whole = Counter(model for model, _ in sizes)
    if draw(st.booleans()) and max(whole.values()) > 1:
        model = whole.most_common(1)[0][0]
        total = sum(gpus for name, gpus in sizes if name == model)
        made.append(TraceJob("large", "train", float(draw(st.integers(0, 400))), total, draw(st.floats(1, 300))))
    options = Options(
        switch_off_after_seconds=draw(st.sampled_from([None, 0.0, 20.0, 120.0])),
        restart_seconds=draw(st.sampled_from([0.0, 7.0])),
        reading_every_seconds=draw(st.sampled_from([None, 60.0])),
    )
    return Instance(tuple(made), nodes, options, draw(st.integers(0, 99)))


@given(instances(), st.integers(0, 99))
def test_every_job_ends_and_arms_can_be_compared(instance: Instance, dice: int) -> None:
    runs = [instance.run(FirstFit()), instance.run(Whimsical(dice))]
    horizon = common_horizon(runs)
    check(runs, [summarize(one, horizon) for one in runs])
    for one in runs:
        assert {row.name for row in one.rows} == {job.name for job in instance.jobs}
        assert all(row.submitted_at <= row.started_at <= row.ended_at <= horizon for row in one.rows)


@given(instances(), st.integers(0, 99))
def test_no_gpu_is_held_twice(instance: Instance, dice: int) -> None:
    has = {each.name: each.gpus for each in instance.nodes}
    held: Counter[str] = Counter()
    holds: dict[str, dict[str, int]] = {}
    for event in instance.run(Whimsical(dice)).events:
        if event.kind is EventKind.STARTED:
            assert event.job not in holds
            holds[event.job] = dict(event.gpus)
            held.update(holds[event.job])
        elif event.kind in HELD:
            held.subtract(holds.pop(event.job))
        elif event.kind is EventKind.NODE_OFF:
            assert not held[event.node]
        assert all(0 <= held[name] <= count for name, count in has.items())
    assert not holds


@given(instances(), st.integers(0, 99), st.floats(0, 5000))
def test_joules_are_the_sum_over_the_log_and_the_area_under_power(instance: Instance, dice: int, more: float) -> None:
    done = instance.run(Whimsical(dice))
    spent = integrate(done.events, done.nodes, done.horizon)
    assert math.isclose(spent.joules.total, done.counted.total, rel_tol=1e-9, abs_tol=1e-6)
    assert math.isclose(sum(row.dynamic_joules for row in done.rows), done.counted.dynamic, rel_tol=1e-9, abs_tol=1e-6)
    horizon = done.horizon + more
    area = math.fsum((end - start) * watts for start, end, watts in intervals(done.power(horizon), horizon))
    assert math.isclose(area, done.joules(horizon).total, rel_tol=1e-9, abs_tol=1e-6)


@given(instances(), st.integers(0, 99))
def test_work_is_equal_under_different_policies(instance: Instance, dice: int) -> None:
    done = [instance.run(policy) for policy in (FirstFit(), FirstFit(100), Whimsical(dice))]
    for job in instance.jobs:
        for one in done:
            work = integrate(one.events, one.nodes, one.horizon).work[job.name]
            assert math.isclose(work, job.gpus * job.reference_seconds, rel_tol=1e-9)


@given(instances(), st.integers(0, 99))
def test_a_seed_says_it_all(instance: Instance, dice: int) -> None:
    assert instance.run(Whimsical(dice)) == instance.run(Whimsical(dice))
