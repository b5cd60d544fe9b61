"""The limits of running jobs: what a job's time, deadline and visits mean to the choice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from ballast.decide.model.prediction import Curve, GpuRange, Sample
from ballast.decide.points.choosing import Choice, Kind
from ballast.decide.points.wishes import Wishes
from ballast.decide.policy import Policy as Choices
from ballast.simulate.job import TraceJob
from ballast.simulate.policies import points as module
from ballast.simulate.policies.points import Points
from ballast.simulate.policies.profiles import Workload
from ballast.simulate.policy import Reading, RunningJob
from tests.curve_builders import V100, MadeUpCurve, fast
from tests.unit.simulate.policies.views import job

FOUND = V100.max_limit_watts


class Model:
    """Is right on average, and says how far off it may be."""

    def curve(self, gpu: GpuRange, samples: tuple[Sample, ...]) -> MadeUpCurve:
        return replace(fast(gpu), doubt=0.05).after(samples)


@dataclass
class Player:
    """Jobs of one kind on V100s that are read every half minute, and what became of their limits.

    Attributes:
        slowdown: That all allow.
        limits: Of those that run now, by name.
        visited: Limits that jobs ran at, in order.
        restarts_after: Nodes boot for so long before a job works.
    """

    slowdown: float = 10.0
    boots: float = 0.0
    points: Points = field(default_factory=lambda: Points(lambda kind: Model(), Wishes(), visit_seconds=0.0))
    now: float = 0.0
    running: dict[str, RunningJob] = field(default_factory=dict)
    visited: list[float] = field(default_factory=list)

    def start(self, given: TraceJob, done: float = 0.0) -> float:
        limit = self.points.begin(given, V100, lambda: self.slowdown, self.now, done)
        begins = self.now + self.boots
        self.running[given.name] = RunningJob(given, begins, {"n": given.gpus}, "V100", limit, None, done)
        self.visited.append(limit)
        return limit

    def end(self, name: str) -> None:
        self.points.end(name)
        del self.running[name]

    def pass_half_a_minute(self) -> dict[str, float]:
        """Let everybody work and be read; return whose limit changes."""
        truth = fast(V100)
        self.now += 30.0
        for name, seen in self.running.items():
            if seen.started_at >= self.now:
                continue
            sample = truth.measured(seen.limit_watts, error=0.01)
            gpus = seen.job.gpus
            reading = Reading(self.now, "V100", seen.limit_watts, gpus, gpus * sample.work_per_second, sample.watts, 30)
            slowdown = 1 + truth.true_slowdown_percent(seen.limit_watts) / 100
            done = seen.done + 30.0 / slowdown / seen.job.reference_seconds
            self.running[name] = replace(seen, reading=reading, done=min(done, 1.0))
        self.points.learn(self.running, self.now)
        changes = self.points.changes(self.running, self.now)
        for name, limit in changes.items():
            self.running[name] = replace(self.running[name], limit_watts=limit, reading=None)
            self.visited.append(limit)
        return changes

    def settle(self, minutes: int = 60) -> None:
        for _ in range(2 * minutes):
            self.pass_half_a_minute()


def test_the_first_job_of_a_kind_begins_at_the_found_limit() -> None:
    assert Player().start(job("one")) == FOUND


def test_nothing_changes_before_there_is_a_reading() -> None:
    player = Player()
    player.start(job("one"))
    assert player.points.changes(player.running, 10.0) == {}


def test_it_learns_and_saves_within_the_slowdown() -> None:
    player = Player()
    player.start(job("one", seconds=20_000.0))
    player.settle()
    limit = player.running["one"].limit_watts
    assert limit < FOUND
    assert fast(V100).true_slowdown_percent(limit) <= 10.0


def test_the_next_job_of_the_kind_begins_where_the_first_came_to() -> None:
    player = Player()
    player.start(job("one", seconds=20_000.0))
    player.settle()
    limit = player.running["one"].limit_watts
    player.end("one")
    assert player.start(job("two")) == limit
    assert player.start(job("three", kind="likes-a40")) == FOUND


def test_a_gang_of_another_size_begins_as_in_a_cluster_where_sizes_are_not_compared() -> None:
    player = Player()
    player.start(job("one", seconds=20_000.0))
    player.settle()
    assert player.running["one"].limit_watts < FOUND
    assert player.start(job("two", gpus=4)) == FOUND


def test_a_reading_is_known_when_the_operator_would_know_it() -> None:
    player = Player(points=Points(lambda kind: Model()), now=1000.0)
    visit = Choices().visit_seconds
    player.start(job("one", seconds=20_000.0))
    player.pass_half_a_minute()
    assert player.points.learn(player.running, player.now) == 1000.0 + visit
    assert player.points.changes(player.running, player.now) == {}
    assert player.points.learn(player.running, 1000.0 + visit) is None
    changed = player.points.changes(player.running, 1000.0 + visit)
    assert changed["one"] < FOUND
    # The next visit takes as long, however soon there is a reading.
    player.running["one"] = replace(player.running["one"], limit_watts=changed["one"])
    player.now = 1000.0 + visit
    player.pass_half_a_minute()
    assert player.points.learn(player.running, player.now) == 1000.0 + 2 * visit


def test_only_those_are_looked_at_that_were_read_and_those_whose_readings_count_later() -> None:
    player = Player(points=Points(lambda kind: Model()), now=1000.0)
    visit = Choices().visit_seconds
    player.start(job("one", seconds=20_000.0))
    player.start(job("two", seconds=20_000.0))
    player.pass_half_a_minute()
    points = Points(lambda kind: Model())
    for name in ("one", "two"):
        points.begin(player.running[name].job, V100, lambda: 10.0, 1000.0, 0.0)
    assert points.learn(player.running, player.now, frozenset()) is None
    assert points.learn(player.running, player.now, frozenset({"one"})) == 1000.0 + visit
    assert points.learn({"one": player.running["one"]}, 1000.0 + visit, frozenset()) is None
    assert points.changes(player.running, 1000.0 + visit)


def test_a_job_that_is_too_slow_by_its_gpu_model_stays_as_found() -> None:
    player = Player(slowdown=-3.0)
    player.start(job("one", seconds=20_000.0))
    player.settle()
    assert set(player.visited) == {FOUND}


def test_who_may_be_no_slower_visits_no_limit_that_costs_more_than_a_hundredth_of_its_time() -> None:
    player = Player(slowdown=0.0)
    player.start(job("one", seconds=3000.0))
    player.settle(50)
    truth = fast(V100)
    lost = sum(30.0 * (1 - 100 / (100 + truth.true_slowdown_percent(limit))) for limit in player.visited)
    assert 0 < lost <= 0.011 * 3000


def test_a_deadline_keeps_the_found_limit_until_it_is_known_to_leave_time() -> None:
    player = Player()
    player.start(job("one", seconds=20_000.0))
    player.settle()
    assert player.running["one"].limit_watts < FOUND
    urgent = replace(job("two", seconds=2000.0), deadline=player.now + 50_000.0)
    assert player.start(urgent) == FOUND
    player.pass_half_a_minute()
    assert player.running["two"].limit_watts < FOUND


def test_a_deadline_that_leaves_no_time_keeps_the_found_limit() -> None:
    player = Player()
    player.start(replace(job("one", seconds=2000.0), deadline=2001.0))
    player.settle(30)
    assert set(player.visited) == {FOUND}


def test_a_deadline_that_is_missed_already_keeps_the_found_limit() -> None:
    player = Player()
    player.start(replace(job("one", seconds=2000.0), deadline=-1.0))
    player.settle(30)
    assert set(player.visited) == {FOUND}


def test_what_was_done_before_on_other_gpus_is_not_taken_for_speed() -> None:
    # Nine tenths were done elsewhere. Of the last, a minute is done in a minute: three more are left, and the deadline
    # leaves hours. Had all of it been done in that minute, there would be no time at all left to save in.
    player = Player()
    moved = replace(job("one", seconds=2400.0), deadline=221.0)
    player.start(moved, done=0.9)
    player.pass_half_a_minute()
    assert player.running["one"].limit_watts == FOUND
    fresh = Player()
    fresh.start(replace(moved, deadline=50_000.0), done=0.9)
    fresh.settle(3)
    assert fresh.running["one"].limit_watts < FOUND


def test_the_time_in_which_nodes_boot_is_not_the_jobs() -> None:
    # Half a minute of work in ten minutes would look like twenty times the time that is left, and the deadline as lost.
    player = Player()
    player.start(job("before", seconds=20_000.0))
    player.settle()
    player.boots = 600.0
    player.start(replace(job("one", seconds=600.0), deadline=player.now + 1500.0))
    player.settle(11)
    assert player.running["one"].limit_watts < FOUND


class Script:
    """Stands for `choose`: goes through limits, and keeps what jobs were said to wish."""

    def __init__(self, *limits: float) -> None:
        self._limits = iter(limits)
        self.wishes: list[Wishes] = []

    def __call__(self, curve: Curve, limits: Sequence[float], samples: Sequence[Sample], wishes: Wishes) -> Choice:
        self.wishes.append(wishes)
        limit = next(self._limits)
        return Choice(limit, Kind.EXPLORE, curve.at(limit), False, "")


def test_what_is_told_of_a_job_follows_from_what_a_cluster_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(FOUND, 200.0, 150.0, FOUND)
    monkeypatch.setattr(module, "choose", script)
    player = Player(slowdown=5.0, boots=100.0, now=1000.0)
    player.start(replace(job("one", seconds=3000.0), deadline=5000.0))
    while len(script.wishes) < 4:
        player.pass_half_a_minute()
    before, first, second, third = script.wishes
    slowed = [1 + fast(V100).true_slowdown_percent(limit) / 100 for limit in (200.0, 150.0)]
    assert (before.ran_seconds, before.left_seconds, before.now_watts) == (0.0, None, None)
    assert before.deadline_slowdown_percent == 0.0
    # It began to work at 1100 s, and was read at 1120, 1150 and 1180 s.
    assert [wishes.ran_seconds for wishes in (first, second, third)] == [20.0, 50.0, 80.0]
    assert [wishes.now_watts for wishes in (first, second, third)] == [FOUND, 200.0, 150.0]
    assert {wishes.max_slowdown_percent for wishes in script.wishes} == {5.0}
    done = 30 / 3000
    assert first.left_seconds == pytest.approx(20 * (1 - done) / done)
    done += 30 / slowed[0] / 3000
    assert second.left_seconds == pytest.approx((20 + 30 / slowed[0]) * (1 - done) / done)
    assert third.left_seconds is not None
    assert third.deadline_slowdown_percent == pytest.approx(100 * ((5000 - 1180) / third.left_seconds - 1))
    # The visit that is under way is not counted yet.
    assert (first.lost_seconds, second.lost_seconds) == (0.0, 0.0)
    assert third.lost_seconds == pytest.approx(30 * (1 - 1.05 / slowed[0]), rel=0.01)


def test_the_more_is_known_the_more_it_takes_to_choose_again(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(*[FOUND] * 200)
    monkeypatch.setattr(module, "choose", script)
    player = Player()
    player.start(job("one", seconds=20_000.0))
    asked = []
    for _ in range(80):
        player.pass_half_a_minute()
        asked.append(len(script.wishes))
    assert asked[:8] == [2, 3, 4, 5, 6, 7, 8, 9]
    assert 10 < asked[-1] < 35
    # Nobody has been at this limit.
    player.points._lives["one"].limit_watts = 200.0
    player.running["one"] = replace(player.running["one"], limit_watts=200.0)
    before = len(script.wishes)
    player.pass_half_a_minute()
    assert len(script.wishes) == before + 1


def test_the_first_reading_of_a_job_counts_however_much_is_known(monkeypatch: pytest.MonkeyPatch) -> None:
    script = Script(*[FOUND] * 200)
    monkeypatch.setattr(module, "choose", script)
    player = Player()
    player.start(job("one", seconds=20_000.0))
    player.settle(40)
    player.end("one")
    player.start(job("two", seconds=20_000.0))
    before = len(script.wishes)
    player.pass_half_a_minute()
    assert len(script.wishes) == before + 1
    assert script.wishes[-1].left_seconds == pytest.approx(20_000.0 - 30.0)
    player.pass_half_a_minute()
    assert len(script.wishes) == before + 1


def test_the_same_reading_is_learned_from_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "choose", Script(*[FOUND] * 9))
    player = Player()
    player.start(job("one", seconds=20_000.0))
    player.pass_half_a_minute()
    assert player.running["one"].reading is not None
    for _ in range(3):
        player.points.learn(player.running, player.now)
    assert player.points._profiles.count(Workload("even", 1, "V100")) == 1


def test_only_those_are_looked_at_of_whom_there_is_news() -> None:
    player = Player()
    player.start(job("one", seconds=20_000.0))
    player.settle()
    assert player.points.changes(player.running, player.now) == {}
