"""What choices are made from: when one is asked for at all, and what it is told that the job wishes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from ballast.decide.model.prediction import Prediction
from ballast.decide.points import auto_point
from ballast.decide.points.auto_point import LONG_VISIT_READINGS, tuned
from ballast.decide.points.choosing import Choice, Kind, choose
from ballast.decide.points.wishes import Wishes
from ballast.decide.snapshot import Job
from tests.auto_builders import (
    LATER,
    NODES,
    WATCHED,
    auto_job,
    chosen,
    figures,
    held_gpus,
    known,
    measured_point,
    profile,
    ready,
    watched,
    with_chosen,
)
from tests.builders import at, node

FOUND = profile(measured_point(300.0, 10.0, 290.0))
EIGHT = chosen(125.0, samples=8, since=at(980))
"""A choice that rests on the eight measurements of `FOUND`, 20 s ago."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Wishes]:
    """Collects what choices are asked for; each is 200 W."""
    wishes: list[Wishes] = []

    def record(*arguments: Any) -> Choice:
        wishes.append(arguments[3])
        choose(*arguments)
        return Choice(200.0, Kind.CHOSEN, Prediction(200.0, 0.0, 0.0, 190.0, 0.0, -0.2), True, "200 W it is")

    monkeypatch.setattr(auto_point, "choose", record)
    return wishes


def iso(seconds: float) -> str:
    return at(seconds).isoformat().replace("+00:00", "Z")


def limit_of(job: Job, now: float = LATER) -> float:
    point = tuned(job, watched(now))[0].job.status.operating_point
    assert point is not None
    return point.power_limit_watts


def test_it_is_told_what_is_known_of_the_jobs_time(asked: list[Wishes]) -> None:
    limit_of(ready(learned=known(FOUND)))
    [wishes] = asked
    assert wishes.max_slowdown_percent == pytest.approx(10.0)
    assert wishes.deadline_slowdown_percent is None
    assert (wishes.ran_seconds, wishes.left_seconds, wishes.lost_seconds) == (1000.0, 20_000.0, 0.0)
    assert wishes.now_watts == 300.0
    assert wishes.exploration is not None
    assert wishes.exploration.reading_seconds == WATCHED.visit_seconds == 75.0


def test_time_left_is_that_at_the_found_limit(asked: list[Wishes]) -> None:
    half = profile(measured_point(300.0, 10.0), measured_point(150.0, 5.0))
    limit_of(with_chosen(ready(learned=known(half)), chosen(150.0, samples=1)))
    assert asked[0].left_seconds == pytest.approx(10_000.0, rel=0.1)


def test_what_the_gpu_model_costs_is_taken_off(asked: list[Wishes]) -> None:
    at_once = watched()
    faster = {each.name: each.build() for each in (*NODES, node("c").with_gpus("A100", 8))}
    slower = auto_job(maxSlowdownPercent=100)
    tuned(ready(slower, learned=known(FOUND)), replace(at_once, nodes=faster))
    assert asked[0].max_slowdown_percent == pytest.approx(100 * (2.0 * 1.18 / 2.0 - 1))


def test_on_a_model_that_is_too_slow_the_slowdown_counts_from_its_own(asked: list[Wishes]) -> None:
    faster = {each.name: each.build() for each in (*NODES, node("c").with_gpus("A100", 8))}
    tuned(ready(learned=known(FOUND)), replace(watched(), nodes=faster))
    assert asked[0].max_slowdown_percent == pytest.approx(10.0)


@pytest.mark.parametrize(("seconds", "percent"), [(21_000.0, 5.0), (20_000.0, 0.0), (10_000.0, -50.0)])
def test_a_deadline_leaves_what_it_leaves(asked: list[Wishes], seconds: float, percent: float) -> None:
    limit_of(ready(auto_job(deadline=iso(1000 + seconds)), learned=known(FOUND)))
    assert asked[0].deadline_slowdown_percent == pytest.approx(percent)


def test_one_of_which_nobody_knows_whether_it_is_near_leaves_nothing(asked: list[Wishes]) -> None:
    job = ready(auto_job(deadline="2100-01-01T00:00:00Z"), learned=known(FOUND))
    limit_of(replace(job, telemetry=figures(seconds_left=None)))
    assert asked[0].deadline_slowdown_percent == 0.0


@pytest.mark.parametrize("training", [{"step": None}, {"reported_at": None}, {"reported_at": LATER - 3600}], ids=str)
def test_a_job_that_cannot_be_measured_tries_nothing_out(asked: list[Wishes], training: dict[str, Any]) -> None:
    limit_of(replace(ready(learned=known(FOUND)), telemetry=figures(**training)))
    assert asked[0].exploration is None


def test_where_nothing_can_be_learned_nothing_is_tried_out(asked: list[Wishes]) -> None:
    limit_of(ready(learned=known(shared=FOUND, writing=True)))
    assert asked[0].exploration is None


@pytest.mark.parametrize("has", [None, 200.0], ids=["not-set", "another-set"])
def test_one_change_after_the_other(asked: list[Wishes], has: float | None) -> None:
    news = chosen(125.0, samples=7, since=at(980))
    job = with_chosen(ready(learned=known(FOUND)), news, confirmed=False)
    for waits in (replace(job, held_gpus=held_gpus(auto_job(), has)), replace(job, held_gpus={})):
        assert tuned(waits, watched())[0] is waits
    assert asked == []
    refused = replace(job, held_gpus=held_gpus(auto_job(), problem="no permission"))
    assert limit_of(refused) == 200.0


def test_a_choice_is_not_made_anew_without_news(asked: list[Wishes]) -> None:
    job = with_chosen(ready(learned=known(FOUND)), EIGHT)
    assert tuned(job, watched())[0] is job
    assert asked == []


@pytest.mark.parametrize(("samples", "is_news"), [(71, False), (65, False), (64, True), (73, True)])
def test_the_more_is_known_the_more_is_needed_to_be_news(asked: list[Wishes], samples: int, is_news: bool) -> None:
    own = profile(*(measured_point(100.0 + 25 * number) for number in range(9)))
    job = with_chosen(ready(learned=known(own)), chosen(225.0, samples=samples, since=at(980)))
    tuned(job, watched())
    assert bool(asked) == is_news


def test_each_measurement_of_a_limit_that_is_little_known_is_news(asked: list[Wishes]) -> None:
    own = profile(measured_point(225.0, samples=7), *(measured_point(100.0 + 25 * number) for number in range(4)))
    tuned(with_chosen(ready(learned=known(own)), chosen(225.0, samples=38)), watched())
    assert asked


@pytest.mark.parametrize("samples", [7, 9])
def test_what_others_measured_is_news(asked: list[Wishes], samples: int) -> None:
    assert limit_of(with_chosen(ready(learned=known(FOUND)), chosen(300.0, samples=samples))) == 200.0


def test_another_spec_is_news(asked: list[Wishes]) -> None:
    builder = auto_job(maxSlowdownPercent=0).at_generation(2).with_status(observed_generation=2)
    assert limit_of(with_chosen(ready(builder, learned=known(FOUND)), EIGHT)) == 200.0
    assert asked[0].max_slowdown_percent == pytest.approx(0.0)


def test_a_limit_that_boards_no_longer_take_is_news(asked: list[Wishes]) -> None:
    job = with_chosen(ready(learned=known(FOUND)), chosen(90.0, samples=8, since=at(980)))
    assert limit_of(job) == 200.0


def test_a_visit_that_is_never_measured_is_looked_at_again(asked: list[Wishes]) -> None:
    late = at(980).timestamp() + LONG_VISIT_READINGS * WATCHED.reading_seconds
    job = with_chosen(ready(now=late, learned=known(FOUND)), EIGHT)
    soon = replace(job, telemetry=figures(late - 10))
    assert tuned(soon, watched(late - 10))[0] is soon
    assert limit_of(job, late) == 200.0


@pytest.mark.parametrize(("seconds", "is_news"), [(19_000.0, True), (21_000.0, False)])
def test_a_deadline_that_would_be_missed_is_news(asked: list[Wishes], seconds: float, is_news: bool) -> None:
    job = ready(auto_job(deadline=iso(1000 + seconds)), learned=known(FOUND))
    tuned(with_chosen(job, EIGHT), watched())
    assert bool(asked) == is_news
    asked.clear()
    tuned(with_chosen(job, chosen(300.0, samples=8, since=at(980))), watched())
    assert asked == []


def test_what_a_visit_lost_is_kept(asked: list[Wishes]) -> None:
    slow = profile(measured_point(300.0, 10.0), measured_point(100.0, 5.0), measured_point(200.0, 9.9))
    job = with_chosen(ready(learned=known(slow)), chosen(100.0, samples=8, since=at(940), lost_seconds=3.0))
    point = tuned(job, watched())[0].job.status.operating_point
    assert point is not None
    # 60 s at half the speed, where 10 % more time is allowed.
    assert point.lost_seconds == pytest.approx(3.0 + 60 * (1 - 110 / 200), rel=0.02)
    assert asked[0].lost_seconds == 3.0


def test_time_before_it_ran_is_not_lost(asked: list[Wishes]) -> None:
    slow = profile(measured_point(300.0, 10.0), measured_point(100.0, 5.0))
    job = with_chosen(ready(learned=known(slow)), chosen(100.0, samples=8, since=at(-5000)))
    point = tuned(job, watched())[0].job.status.operating_point
    assert point is not None
    assert point.lost_seconds == pytest.approx(1000 * (1 - 110 / 200), rel=0.02)
