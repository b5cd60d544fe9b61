"""Any jobs on any cluster, under every arm of the catalogue: all end, for the same work, and a seed says it all.

The engine refuses every step that a cluster would refuse, and holds each run against its own log: an arm that comes
through has taken none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ballast.simulate.curves import Curve, CurvePoint, Curves
from ballast.simulate.engine.engine import run
from ballast.simulate.engine.events import integrate
from ballast.simulate.engine.options import Options
from ballast.simulate.engine.outcome import Run, check, common_horizon, summarize
from ballast.simulate.job import TraceJob
from ballast.simulate.policies.briefing import Briefing
from ballast.simulate.policies.catalogue import POLICIES
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.policy import SimNode
from ballast.simulate.series import Series

LIMITS = {"V100": (100.0, 250.0), "A40": (100.0, 300.0)}
CARBON = Series((0.0, 1800.0, 5400.0), (400.0, 100.0, 300.0))


@dataclass(frozen=True)
class Instance:
    """What all arms are given."""

    jobs: tuple[TraceJob, ...]
    nodes: tuple[SimNode, ...]
    curves: Curves
    options: Options
    seed: int

    def run(self, name: str) -> Run:
        policy = POLICIES[name](Briefing(self.seed, Speeds.from_curves(self.curves)))
        return run(self.jobs, self.nodes, self.curves, policy, seed=self.seed, options=self.options, carbon=CARBON)


@st.composite
def curves(draw: st.DrawFn, kind: str, model: str) -> Curve:
    """Less speed and less power at lower limits, by any amount."""
    lowest, highest = LIMITS[model]
    speed, watts = draw(st.floats(0.3, 3.0)), draw(st.floats(40.0, highest))
    points = [CurvePoint(highest, speed, watts)]
    for limit in (200.0, 150.0, lowest):
        last = points[-1]
        share, less = draw(st.floats(0.5, 1.0)), draw(st.floats(0.5, 1.0))
        points.append(CurvePoint(limit, last.work_per_second * share, last.watts * less))
    return Curve(kind, model, tuple(reversed(points)))


@st.composite
def instances(draw: st.DrawFn) -> Instance:
    sizes = draw(st.lists(st.tuples(st.sampled_from(sorted(LIMITS)), st.integers(1, 8)), min_size=1, max_size=4))
    nodes = [
        SimNode(f"n{index}", model, gpus, *LIMITS[model], idle_watts=30.0, base_watts=300.0)
        for index, (model, gpus) in enumerate(sizes)
    ]
    largest = max(gpus for _, gpus in sizes)
    one = st.tuples(
        st.integers(0, 4000),
        st.integers(1, largest),
        st.floats(1, 20_000),
        st.sampled_from("ab"),
        st.sampled_from([0.0, 5.5, 10.0, 60.0]),
        st.none() | st.floats(0.5, 5.0),
    )
    jobs = [
        TraceJob(f"j{index:02}", kind, float(at), gpus, seconds, slowdown, factor and at + factor * seconds)
        for index, (at, gpus, seconds, kind, slowdown, factor) in enumerate(
            draw(st.lists(one, min_size=1, max_size=15))
        )
    ]
    alike, count = Counter(sizes).most_common(1)[0]
    if count > 1 and alike[1] == largest:
        # It does not fit on a node, and all that it takes are whole.
        jobs.append(
            TraceJob("large", "a", float(draw(st.integers(0, 4000))), count * largest - draw(st.booleans()), 900.0)
        )
    made = Curves("made up", False, "V100", tuple(draw(curves(kind, model)) for kind in "ab" for model in LIMITS))
    options = Options(
        switch_off_after_seconds=draw(st.sampled_from([None, 120.0])),
        restart_seconds=draw(st.sampled_from([0.0, 30.0])),
        readings_noise=draw(st.sampled_from([0.0, 0.01, 0.2])),
    )
    return Instance(tuple(jobs), tuple(nodes), made, options, draw(st.integers(0, 99)))


@given(instances())
@settings(max_examples=25)
def test_all_arms_can_be_compared(instance: Instance) -> None:
    runs = [instance.run(name) for name in POLICIES]
    horizon = common_horizon(runs)
    # Jobs, work, joules by the log and while it ran, power above idle, one horizon: all of the harness's rules.
    check(runs, [summarize(one, horizon) for one in runs])
    for one in runs:
        assert {row.name for row in one.rows} == {job.name for job in instance.jobs}


@pytest.mark.parametrize("name", ["ballast", "ballast-placement"])
@given(instance=instances())
@settings(max_examples=15)
def test_the_operators_arm_does_the_same_again_for_the_same_seed(name: str, instance: Instance) -> None:
    first, second = instance.run(name), instance.run(name)
    assert first.events == second.events


@given(instances())
@settings(max_examples=15)
def test_the_operators_arm_starts_jobs_once_and_leaves_them_on_one_gpu_model(instance: Instance) -> None:
    done = instance.run("ballast")
    model = {node.name: node.gpu_model for node in instance.nodes}
    started = [event for event in done.events if event.gpus]
    assert sorted(event.job for event in started) == sorted(job.name for job in instance.jobs)
    for event in started:
        assert {model[node] for node, _ in event.gpus} == {event.gpu_model}
    work = integrate(done.events, done.nodes, done.horizon).work
    assert all(abs(work[job.name] / (job.gpus * job.reference_seconds) - 1) < 1e-6 for job in instance.jobs)
