"""A fallback counts gaps only: when the agent is back, no joule is counted twice, and no total falls."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ballast.api.source import Component, Source
from ballast.exporter.readings import Readings, Share
from ballast.exporter.totals import MOST_MARKS, Pair, Totals
from tests.unit.exporter.test_totals import CPU, GPU, of, readings, restarted

ESTIMATED = {GPU: Source.ESTIMATED, CPU: Source.ESTIMATED}


def counted(totals: Totals, at: float, active: float, idle: float = 0.0) -> None:
    totals.add({GPU: Pair(active, idle)}, ESTIMATED, at)


def test_a_gap_is_counted_on_top_of_what_the_agent_said() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0)))
    counted(totals, at=1_060.0, active=5.0, idle=1.0)
    assert of(totals) == (35.0, 5.0)
    assert totals.joules()[Component.GPU].source is Source.ESTIMATED


def test_an_account_that_has_counted_the_gap_itself_replaces_the_estimate() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0)))
    counted(totals, at=1_060.0, active=5.0)
    totals.take(readings(gpu=(50.0, 6.0)))
    assert of(totals) == (50.0, 6.0)
    assert totals.joules()[Component.GPU].source is Source.COUNTER


def test_an_estimate_that_was_too_high_waits_for_the_account() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 4.0)))
    counted(totals, at=1_060.0, active=100.0)
    for active, expected in ((40.0, 130.0), (129.0, 130.0)):
        totals.take(readings(gpu=(active, 5.0)))
        assert sum(of(totals)) == expected + 4.0
    totals.take(readings(gpu=(150.0, 6.0)))
    assert sum(of(totals)) == 156.0


def test_it_waits_with_active_and_idle_together() -> None:
    totals = Totals()
    counted(totals, at=1_060.0, active=100.0)
    totals.take(readings(gpu=(70.0, 30.0)))
    assert of(totals) == (100.0, 0.0)  # not 100 and 30
    totals.take(readings(gpu=(80.0, 40.0)))
    assert of(totals) == (100.0, 20.0)
    totals.take(readings(gpu=(110.0, 50.0)))
    assert of(totals) == (110.0, 50.0)


def test_of_a_lost_account_the_gap_counts_until_the_next_one_begins() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 0.0)))
    for at in (1_100.0, 1_200.0, 1_300.0):
        counted(totals, at=at, active=10.0)
    assert of(totals) == (60.0, 0.0)
    totals.take(readings(since=1_250.0, gpu=(3.0, 0.0)))
    assert of(totals) == (60.0, 0.0)  # 30 + 20 + 3 is less
    totals.take(readings(since=1_250.0, gpu=(15.0, 0.0)))
    assert of(totals) == (65.0, 0.0)


def test_each_gap_begins_at_zero() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 0.0)))
    counted(totals, at=1_100.0, active=10.0)
    totals.take(readings(gpu=(45.0, 0.0)))
    counted(totals, at=1_200.0, active=5.0)
    totals.take(readings(since=1_150.0, gpu=(10.0, 0.0)))
    assert of(totals) == (55.0, 0.0)


def test_what_was_counted_before_the_first_agent_came_stays() -> None:
    totals = Totals()
    counted(totals, at=500.0, active=7.0)
    totals.take(readings(since=1_000.0, gpu=(3.0, 0.0)))
    assert of(totals) == (10.0, 0.0)


def test_an_agent_that_was_there_all_the_time_replaces_what_was_counted_before_it_could_be_asked() -> None:
    totals = Totals()
    counted(totals, at=1_500.0, active=7.0)
    totals.take(readings(since=1_000.0, gpu=(9.0, 0.0)))
    assert of(totals) == (9.0, 0.0)


def test_a_gap_goes_on_over_a_restart_of_the_exporter() -> None:
    totals = Totals()
    totals.take(readings(gpu=(30.0, 0.0)))
    counted(totals, at=1_100.0, active=10.0)
    totals = restarted(totals)
    counted(totals, at=1_200.0, active=10.0)
    totals = restarted(totals)
    assert of(totals) == (50.0, 0.0)
    totals.take(readings(since=1_150.0, gpu=(15.0, 0.0)))
    assert of(totals) == (55.0, 0.0)


def test_a_long_gap_takes_no_more_room() -> None:
    totals = Totals()
    for step in range(10 * MOST_MARKS):
        counted(totals, at=float(step), active=1.0)
    assert len(totals.to_json()["gap"]) <= MOST_MARKS
    before = sum(of(totals))
    totals.take(readings(since=5.0 * MOST_MARKS, gpu=(1_000.0, 0.0)))
    # Half of the gap, or somewhat less: never more.
    assert 1_000.0 + 0.8 * before / 2 <= sum(of(totals)) <= 1_000.0 + before / 2


class World:
    """A GPU that draws 10 J each second, an agent that may forget, and a fallback that counts well."""

    def __init__(self) -> None:
        self.now = 0.0
        self.since = 0.0
        self.totals = Totals()
        self.told = 0.0

    def pass_time(self, seconds: int) -> None:
        self.now += seconds

    def ask(self, seconds: int) -> None:
        """The agent answers at the end of `seconds`."""
        self.pass_time(seconds)
        share = Share(Component.GPU, 10.0 * (self.now - self.since), 0.0, 0.0, Source.COUNTER, "GPU-1")
        self.totals.take(Readings("uid-1", self.now, self.since, (share,)))
        self.check()

    def forget(self, seconds: int) -> None:
        """The agent loses its accounts."""
        self.pass_time(seconds)
        self.since = self.now

    def estimate(self, seconds: int) -> None:
        """The agent is away for `seconds`, and the fallback counts them."""
        self.pass_time(seconds)
        self.totals.add({GPU: Pair(10.0 * seconds)}, ESTIMATED, self.now)
        self.check()

    def restart(self, _: int) -> None:
        """The exporter begins anew."""
        self.totals = restarted(self.totals)
        self.check()

    def check(self) -> None:
        total = _total(self.totals)
        assert total >= self.told, "a total fell"
        assert total <= 10.0 * self.now + 1e-6, "joules were counted twice"
        self.told = total


def _total(totals: Totals) -> float:
    return sum(each.total for each in totals.joules().values())


@given(st.lists(st.tuples(st.sampled_from(["ask", "forget", "estimate", "restart"]), st.integers(0, 50)), max_size=80))
def test_whatever_happens_totals_neither_fall_nor_count_twice(events: list[tuple[str, int]]) -> None:
    world = World()
    for what, seconds in events:
        getattr(world, what)(seconds)


@given(st.lists(st.sampled_from(["ask", "restart", "estimate"]), max_size=30))
def test_nothing_is_lost_while_the_account_is_kept(events: list[str]) -> None:
    world = World()
    for what in [*events, "ask"]:
        getattr(world, what)(7)
    assert _total(world.totals) == 10.0 * world.now
