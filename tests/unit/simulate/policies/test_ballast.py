"""The operator as an arm: how what its decisions come to becomes steps of the engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import pytest

from ballast.decide.gpu_models import A40, V100
from ballast.decide.model.prediction import GpuRange, Sample
from ballast.decide.model.prior import PRIOR, Prior
from ballast.simulate.job import TraceJob
from ballast.simulate.policies import ballast as module
from ballast.simulate.policies.ballast import Ballast, ballast, ballast_placement
from ballast.simulate.policies.points import Points
from ballast.simulate.policies.speeds import Speeds
from ballast.simulate.policy import SetLimit, Start, Stop
from ballast.simulate.world.objects import Point
from ballast.simulate.world.world import World
from tests.curve_builders import MadeUpCurve, fast
from tests.unit.simulate.policies.views import cluster, job, limits, starts, stops, wake_ups

ONE = cluster(a40=1)


def test_a_job_starts_at_the_limit_that_was_found() -> None:
    for policy in (ballast(), ballast_placement()):
        assert policy.decide(ONE.waiting(job("one", 2)).view) == [Start("one", {"a40-0": 2}, 300.0)]


def test_a_job_that_waits_is_not_submitted_again() -> None:
    policy = ballast_placement()
    where = ONE.waiting(job("one", 8), job("two"))
    where = where.after(policy.decide(where.view))
    assert [waiting.name for waiting in where.view.waiting] == ["two"]
    assert policy.decide(where.at(10.0).view) == []
    # Submitted twice, it would start twice.
    assert starts(policy.decide(where.without("one").at(20.0).view)) == {"two": {"a40-0": 1}}


def test_what_ended_makes_room_in_the_same_moment() -> None:
    policy = ballast_placement()
    where = ONE.waiting(job("one", 8), job("two", 8))
    where = where.after(policy.decide(where.view))
    assert set(where.view.running) == {"one"}
    assert starts(policy.decide(where.without("one").at(10.0).view)) == {"two": {"a40-0": 8}}


def test_a_gang_takes_whole_nodes_and_uses_what_it_needs_of_the_last() -> None:
    policy = ballast_placement()
    where = cluster(a40=2).waiting(job("large", 11), job("small", 1))
    started = starts(policy.decide(where.view))
    assert sorted(started["large"].values()) == [3, 8]
    # The pods of a gang are alike: they hold all of both nodes.
    assert "small" not in started


def test_the_partly_used_node_is_the_larger_one() -> None:
    nodes = cluster(a40=3).view.nodes
    larger = replace(nodes["a40-1"], gpus=10)
    view = replace(cluster(a40=3).view, nodes={**nodes, "a40-1": larger}, free={"a40-0": 8, "a40-1": 10, "a40-2": 8})
    started = starts(ballast_placement().decide(replace(view, waiting=(job("large", 21),))))
    assert started == {"large": {"a40-0": 8, "a40-1": 5, "a40-2": 8}}


def test_only_the_arm_that_chooses_points_changes_limits() -> None:
    for policy, changes in ((ballast_placement(), False), (ballast(), True)):
        where = ONE.waiting(job("one", seconds=1e6))
        where = where.after(policy.decide(where.view))
        for step in range(1, 200):
            limit = where.view.running["one"].limit_watts
            # Down to 200 W the limit costs a hundredth of the speed.
            where = where.at(30.0 * step).read("one", 1.0 - (300 - limit) / 1e4, limit)
            where = where.after(policy.decide(where.view))
            if limits_changed := where.view.running["one"].limit_watts < 300:
                break
        assert limits_changed is changes


def test_jobs_of_one_moment_are_all_submitted() -> None:
    where = ONE.waiting(*(job(f"j{index}") for index in range(8)))
    assert len(starts(ballast_placement().decide(where.view))) == 8


def lost(policy: Ballast, name: str) -> None:
    """Let somebody delete what runs of a job."""
    assert policy._world is not None
    policy._world.somebody_deletes_the_workload(name)


@pytest.mark.parametrize("make", [ballast, ballast_placement])
def test_a_job_that_the_operator_stops_and_starts_again_has_both_steps_in_this_order(
    make: Callable[[], Ballast],
) -> None:
    policy = make()
    where = ONE.waiting(job("one"))
    where = where.after(policy.decide(where.view)).at(100.0)
    lost(policy, "one")
    steps = policy.decide(where.waiting(job("other", at=100.0)).view)
    assert stops(steps) == ["one"]
    assert starts(steps) == {"one": {"a40-0": 1}, "other": {"a40-0": 1}}
    assert steps.index(Stop("one")) < steps.index(Start("one", {"a40-0": 1}, 300.0))


def test_a_job_that_the_operator_stops_waits_for_its_turn() -> None:
    policy = ballast()
    where = ONE.waiting(job("one", 8))
    where = where.after(policy.decide(where.view)).at(50.0).waiting(job("two", 8, at=50.0))
    where = where.after(policy.decide(where.view)).at(100.0)
    lost(policy, "one")
    steps = policy.decide(where.waiting(job("other", at=100.0)).view)
    assert (stops(steps), starts(steps)) == (["one"], {"two": {"a40-0": 8}})
    where = where.after(steps).without("two").at(200.0)
    assert starts(policy.decide(where.view))["one"] == {"a40-0": 8}


def test_what_a_stopped_job_had_done_is_remembered_until_it_begins_again(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []

    def begin(self: Points, given: TraceJob, gpu: GpuRange, slowdown: float, now: float, done: float) -> float:
        told.append((given.name, done))
        return gpu.max_limit_watts

    monkeypatch.setattr(Points, "begin", begin)
    monkeypatch.setattr(Points, "end", lambda self, name: None)
    policy = ballast()
    one = job("one")
    policy.decide(ONE.waiting(one).view)
    where = ONE.running(one, "a40-0", done=0.4).at(100.0)
    lost(policy, "one")
    policy.decide(where.waiting(job("other", at=100.0)).view)
    assert told[0] == ("one", 0.0)
    assert set(told[1:]) == {("one", 0.4), ("other", 0.0)}


def test_it_is_woken_up_when_time_alone_calls_for_a_decision(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(World, "next_due", lambda self: 50.0 if self.now < 50.0 else None)
    policy = ballast_placement()
    where = ONE.waiting(job("one"))
    steps = policy.decide(where.view)
    assert wake_ups(steps) == [50.0]
    where = where.after(steps)
    lost(policy, "one")
    assert policy.decide(where.at(49.0).view) == []
    steps = policy.decide(where.at(50.0).view)
    assert (stops(steps), wake_ups(steps)) == (["one"], [])


def test_between_events_nothing_is_decided() -> None:
    policy = ballast_placement()
    where = ONE.waiting(job("one"))
    where = where.after(policy.decide(where.view)).at(100.0)
    lost(policy, "one")
    # Nothing came, ended or is due.
    assert policy.decide(where.view) == []


def test_a_job_begins_within_the_range_that_all_its_nodes_share() -> None:
    view = cluster(a40=2).view
    nodes = {**view.nodes, "a40-1": replace(view.nodes["a40-1"], max_limit_watts=280.0)}
    where = replace(view, nodes=nodes, waiting=(job("large", 16),))
    assert limits(ballast_placement().decide(where)) == {"large": 280.0}


def test_it_says_whether_the_prior_has_seen_the_kinds() -> None:
    assert "as it is shipped" in ballast().reference
    assert "without that kind's measurements" in ballast({"even": PRIOR}).reference
    assert "power limits as found" in ballast_placement().reference


class Recorder:
    """An energy model that tells by which prior a kind's curve is made."""

    asked: ClassVar[list[str]] = []

    def __init__(self, prior: Prior = PRIOR) -> None:
        self._source = prior.source

    def curve(self, gpu: GpuRange, samples: tuple[Sample, ...]) -> MadeUpCurve:
        self.asked.append(self._source)
        return fast(gpu).after(samples)


def test_each_kind_has_its_own_prior_and_else_the_one_that_is_shipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HierarchicalModel", Recorder)
    for kind, source in (("even", "all but even"), ("likes-a40", PRIOR.source)):
        Recorder.asked.clear()
        policy = ballast({"even": replace(PRIOR, source="all but even")})
        policy.decide(ONE.waiting(job("one", kind=kind)).view)
        assert Recorder.asked == [source]


BOTH = cluster(a40=2, v100=2)
FASTER = A40.relative_speed / V100.relative_speed


@pytest.mark.parametrize(
    ("model", "slowdown", "left"),
    [
        ("A40", 10.0, 10.0),
        ("V100", 50.0, 100 * (1.5 / FASTER - 1)),
        # It runs where it is slower than it allows only if it would have waited much longer: then its own counts.
        ("V100", 0.0, 0.0),
        ("V100", 10.0, 10.0),
        ("A40", 10.7, 10.0),
    ],
)
def test_what_the_gpu_model_costs_is_taken_off_the_slowdown(model: str, slowdown: float, left: float) -> None:
    one = replace(job("one"), max_slowdown_percent=slowdown)
    assert World(BOTH.view.nodes.values()).slowdown_left_percent(one, model) == pytest.approx(left)


def test_slowdown_counts_from_the_fastest_model_that_can_hold_the_job() -> None:
    world = World(cluster(a40=1, v100=2).view.nodes.values())
    assert world.slowdown_left_percent(job("one", 16), "V100") == pytest.approx(10.0)


def test_what_was_learned_of_a_kind_outweighs_the_table() -> None:
    world = World(BOTH.view.nodes.values())
    world.learn("even", "V100", [Point(1, 250.0, 1.0, 200.0, 8, 240.0)])
    world.learn("even", "A40", [Point(1, 300.0, 0.95, 200.0, 8, 240.0)])
    one = job("one", kind="even")
    assert world.slowdown_left_percent(one, "V100") == pytest.approx(10.0)
    assert world.slowdown_left_percent(one, "A40") == pytest.approx(100 * (1.1 * 0.95 - 1), abs=0.1)


def test_users_who_know_it_say_how_long_their_jobs_take_on_the_fastest_gpu_model(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    told: list[float | None] = []
    monkeypatch.setattr(World, "submit", lambda self, one, seconds: told.append(seconds))
    speeds = Speeds({"even": {"V100": 1.0, "A40": 2.0}})
    for policy in (ballast(), ballast(durations=speeds)):
        policy.decide(ONE.waiting(job("one", kind="even", seconds=100.0)).view)
    assert told == [None, 50.0]


def test_a_limit_is_set_only_on_jobs_that_run_already() -> None:
    policy = ballast()
    where = ONE.waiting(job("one", seconds=1e6))
    where = where.after(policy.decide(where.view))
    for step in range(1, 50):
        limit = where.view.running["one"].limit_watts
        where = where.at(30.0 * step).read("one", 1.0, limit)
        steps = policy.decide(where.waiting(job(f"new-{step}", at=30.0 * step)).view)
        running = {change.job for change in steps if isinstance(change, SetLimit)}
        assert running <= {"one"}
        where = where.after(change for change in steps if isinstance(change, SetLimit))
