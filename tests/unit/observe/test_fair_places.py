"""The place in the queue counts with what fair share puts back; whether that is why, is told."""

from __future__ import annotations

from ballast.decide.snapshot import Ahead
from ballast.observe.waiting import WaitingJobs
from tests.builders import JobBuilder, job

HALF_AN_HOUR = {"a": 1800}


def of(namespace: str, name: str, since: float, gpus: int = 1) -> JobBuilder:
    return job(name).in_namespace(namespace).with_gpus(gpus).waiting_since(since)


OLD, YOUNG, YOUNGEST = of("b", "old", -3600), of("b", "young", 0, gpus=4), of("b", "youngest", 1801, gpus=2)
MINE = of("a", "mine", -10)


def ahead(of_job: JobBuilder, *others: JobBuilder, put_back: dict[str, int]) -> Ahead:
    waiting = WaitingJobs()
    for builder in (of_job, *others):
        waiting.put(builder.build())
    return waiting.ahead(of_job.build(), put_back)


def test_those_ahead_count_by_their_order_and_put_back() -> None:
    assert ahead(MINE, OLD, YOUNG, YOUNGEST, put_back={}) == Ahead(2, 2)
    assert ahead(MINE, OLD, YOUNG, YOUNGEST, put_back=HALF_AN_HOUR) == Ahead(3, 6, put_back_seconds=1800)


def test_others_that_are_put_back_stand_behind() -> None:
    assert ahead(YOUNG, MINE, put_back={}) == Ahead(2, 5)
    assert ahead(YOUNG, MINE, put_back=HALF_AN_HOUR) == Ahead(1, 4)


def test_among_its_own_nothing_changes() -> None:
    older = of("a", "older", -20, gpus=8)
    assert ahead(MINE, older, put_back=HALF_AN_HOUR) == ahead(MINE, older, put_back={}) == Ahead(2, 9)


def test_who_has_the_same_place_anyway_is_not_put_back() -> None:
    assert ahead(MINE, OLD, put_back=HALF_AN_HOUR) == Ahead(2, 2)


def test_who_takes_no_gpus_is_never_put_back() -> None:
    on_cpus = job("on-cpus").in_namespace("a").waiting_since(-10)
    assert ahead(on_cpus, YOUNG, put_back=HALF_AN_HOUR) == Ahead(1, 1)
