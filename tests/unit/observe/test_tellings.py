"""So many jobs are told a second and no more: a few at once, many in turn, whoever was told longest ago first."""

from __future__ import annotations

import pytest

from ballast.observe.tellings import BURST, HEAD_START_SECONDS, PER_SECOND, Tellings
from tests.builders import NOW


def many(count: int) -> list[str]:
    return [f"job-{number}" for number in range(count)]


def test_a_small_cluster_is_told_at_once() -> None:
    tellings = Tellings()
    tellings.news(many(20), NOW)
    assert tellings.next_due(NOW) == NOW
    assert tellings.take(NOW) == many(20)
    assert tellings.next_due(NOW) is None
    assert tellings.take(NOW) == []


def test_many_are_told_in_turn() -> None:
    tellings = Tellings(per_second=2, burst=5, batch=4)
    tellings.news(many(100), NOW)
    assert tellings.take(NOW) == many(5)
    assert "job-4" not in tellings
    assert "job-5" in tellings
    assert tellings.take(NOW) == []
    assert tellings.next_due(NOW) == NOW + 2
    assert tellings.take(NOW + 2) == many(9)[5:]
    assert len(tellings) == 91


def test_the_last_ones_need_not_wait_for_a_whole_batch() -> None:
    tellings = Tellings(per_second=2, burst=5, batch=4)
    tellings.news(many(6), NOW)
    tellings.take(NOW)
    assert tellings.next_due(NOW) == NOW + 0.5
    assert tellings.take(NOW + 0.5) == ["job-5"]


def test_whoever_was_told_longest_ago_comes_first() -> None:
    tellings = Tellings(per_second=1, burst=1)
    for second, uid in enumerate(("a", "b", "c")):
        tellings.news([uid], NOW + second)
        assert tellings.take(NOW + second) == [uid]
    tellings.news(("c", "a", "b"), NOW + 3)
    assert [tellings.take(NOW + 3 + second) for second in range(3)] == [["a"], ["b"], ["c"]]


def test_who_was_never_told_comes_first() -> None:
    tellings = Tellings(per_second=1, burst=1)
    tellings.news(["old"], NOW)
    tellings.take(NOW)
    tellings.news(["old", "new"], NOW + 5)
    assert tellings.take(NOW + 5) == ["new"]


def test_who_has_waited_long_is_passed_by_nobody() -> None:
    tellings = Tellings(per_second=1, burst=1)
    tellings.news(["old"], NOW)
    tellings.take(NOW)
    later = NOW + HEAD_START_SECONDS + 1
    tellings.news(["new", "old"], later)
    assert tellings.take(later) == ["old"]


def test_a_forgotten_job_is_not_told_and_counts_as_new_when_it_runs_again() -> None:
    tellings = Tellings(per_second=1, burst=2)
    tellings.news(["again", "other"], NOW)
    tellings.take(NOW)
    tellings.news(["again", "other"], NOW + 2)
    tellings.forget("again")
    tellings.forget("unknown")
    assert len(tellings) == 1
    tellings.news(["again"], NOW + 2)
    assert tellings.take(NOW + 2) == ["again", "other"]


def test_a_job_that_is_forgotten_while_it_waits_is_not_told() -> None:
    tellings = Tellings()
    tellings.news(["a", "b"], NOW)
    tellings.forget("a")
    assert tellings.take(NOW) == ["b"]
    tellings.news(["b"], NOW)
    tellings.forget("b")
    assert tellings.next_due(NOW) is None
    assert tellings.take(NOW + 60) == []


def test_news_of_a_job_that_waits_does_not_change_its_turn() -> None:
    tellings = Tellings(per_second=1, burst=1)
    tellings.news(["a", "b"], NOW)
    tellings.news(["b", "a", "c"], NOW + 1)
    taken = [uid for second in range(5) for uid in tellings.take(NOW + 1 + second)]
    assert taken == ["a", "b", "c"]


def test_a_clock_that_is_set_back_adds_nothing_and_stops_nothing() -> None:
    tellings = Tellings(per_second=1, burst=1)
    tellings.news(many(3), NOW)
    assert tellings.take(NOW) == ["job-0"]
    assert tellings.take(NOW - 3600) == []
    assert tellings.take(NOW - 3599) == ["job-1"]


def test_what_is_kept_does_not_grow_with_time() -> None:
    tellings = Tellings(per_second=1, burst=1)
    for second in range(20_000):
        tellings.news([f"job-{second}", "steady"], NOW + second)
        tellings.take(NOW + second)
        tellings.forget(f"job-{second}")
    assert len(tellings._heap) < 200
    assert len(tellings._told_at) <= 1


def test_jobs_that_end_before_their_turn_leave_nothing() -> None:
    tellings = Tellings(per_second=1, burst=1)
    for number in range(5000):
        tellings.news([f"job-{number}"], NOW)
        tellings.forget(f"job-{number}")
    tellings.news(["last"], NOW)
    assert len(tellings._heap) < 200
    assert tellings.take(NOW) == ["last"]


@pytest.mark.parametrize("seconds_between_polls", [5, 15, 60])
def test_five_thousand_jobs_with_news_at_each_poll(seconds_between_polls: int) -> None:
    """At most 600 writes in any minute, and each job is told again and again at about the same pace."""
    jobs = many(5000)
    tellings = Tellings()
    times: list[float] = []
    last: dict[str, float] = {}
    longest = 0.0
    now = NOW
    while now < NOW + 1800:
        if (now - NOW) % seconds_between_polls < 1:
            tellings.news(jobs, now)
        for uid in tellings.take(now):
            longest = max(longest, now - last.get(uid, NOW))
            last[uid] = now
            times.append(now)
        due = tellings.next_due(now)
        now = min(max(due or now + 1, now + 0.001), now - (now - NOW) % 1 + 1)
    busiest = max(sum(begin <= time < begin + 60 for time in times) for begin in times[::97])
    assert busiest <= 60 * PER_SECOND + BURST <= 600
    assert len(last) == len(jobs)
    assert longest <= len(jobs) / PER_SECOND + seconds_between_polls
