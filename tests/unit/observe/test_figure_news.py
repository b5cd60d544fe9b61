"""An answer of Prometheus has all running jobs looked at, some in each cycle, first those that would be told first."""

from __future__ import annotations

from dataclasses import replace

from ballast.decide.snapshot import Job
from ballast.observe.figure_news import LOOKED_AT_ONCE, PAUSE_SECONDS, FigureNews
from ballast.observe.tellings import BURST, PER_SECOND
from tests.unit.decide.reported import LATER, after_report, asked, figures, running

JOB = replace(running(), telemetry=figures())
TOLD = after_report(running(), figures())


class Looked:
    """The views of jobs, and of which of them anybody asked."""

    def __init__(self, *without_news: str) -> None:
        self.at: list[str] = []
        self._without_news = without_news

    def __call__(self, uid: str) -> Job | None:
        self.at.append(uid)
        return replace(TOLD if uid in self._without_news else JOB, uid=uid)


def many(count: int, name: str = "job") -> list[str]:
    return [f"{name}-{number}" for number in range(count)]


def seen(news: FigureNews, now: float = LATER) -> list[str]:
    """Return which jobs the next cycle looks at."""
    looked = Looked()
    news.look(looked, asked(now))
    return looked.at


def test_so_many_are_looked_at_in_each_cycle_until_all_are() -> None:
    news = FigureNews()
    uids = many(2 * LOOKED_AT_ONCE + 3)
    news.arrived(uids, LATER)
    assert seen(news) == uids[:LOOKED_AT_ONCE]
    assert news.has_unseen
    assert seen(news) == uids[LOOKED_AT_ONCE:-3]
    assert seen(news) == uids[-3:]
    assert not news.has_unseen


def test_those_with_news_are_told() -> None:
    news = FigureNews()
    news.arrived(many(3), LATER)
    assert news.take(LATER) == []
    news.look(Looked("job-1"), asked())
    assert news.take(LATER) == ["job-0", "job-2"]
    assert news.next_due(LATER) is None


def test_one_that_waits_to_be_told_is_not_looked_at_again() -> None:
    news = FigureNews()
    uids = many(BURST + 2)
    news.arrived(uids, LATER)
    seen(news)
    news.take(LATER)
    news.arrived(uids, LATER)
    assert seen(news) == uids[:BURST]


def test_who_was_told_longest_ago_is_looked_at_first() -> None:
    news = FigureNews()
    for seconds, uid in enumerate(("new", "old")):
        news.arrived([uid], LATER - 9000 * seconds)
        seen(news, LATER - 9000 * seconds)
        assert news.take(LATER - 9000 * seconds) == [uid]
    news.arrived(["new", "never", "old"], LATER)
    assert seen(news) == ["old", "never", "new"]


def test_what_was_not_looked_at_yet_is_not_lost_when_prometheus_answers_again() -> None:
    news = FigureNews()
    uids = many(LOOKED_AT_ONCE + 1)
    news.arrived(uids, LATER)
    seen(news)
    news.take(LATER)
    news.arrived((), LATER)
    assert seen(news) == uids[-1:]


def test_the_next_cycle_comes_soon_while_there_are_more_and_in_time_to_tell() -> None:
    news = FigureNews()
    assert news.next_due(LATER) is None
    news.arrived(many(LOOKED_AT_ONCE + 1), LATER)
    assert news.next_due(LATER) == LATER + PAUSE_SECONDS
    seen(news)
    assert news.next_due(LATER) == LATER
    news.take(LATER)
    assert news.next_due(LATER) == LATER + PAUSE_SECONDS
    seen(news)
    due = news.next_due(LATER)
    assert due is not None
    assert due >= LATER + 1 / PER_SECOND


def test_a_job_that_runs_no_more_or_is_gone_is_not_told_of() -> None:
    news = FigureNews()
    news.arrived(("ended", "gone"), LATER)
    news.forget("ended")
    asked_for: list[str] = []
    news.look(asked_for.append, asked())
    assert asked_for == ["gone"]
    assert news.take(LATER) == []
    assert not news.has_unseen
