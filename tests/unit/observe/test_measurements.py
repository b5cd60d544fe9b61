"""A measurement is of one point, from one report of the trainer to a later one, and counts joules of the same time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ballast.api.source import Component
from ballast.decide.measurement import Measurement
from ballast.decide.telemetry import Poll, Telemetry
from ballast.observe.measurements import FREQUENT_READINGS, LONGEST_READING, Measurements
from ballast.observe.turns import LOOKED_AT_ONCE, Turns
from tests.builders import NOW
from tests.unit.observe.learned import POINT, answer, poll

JOB = "uid-of-train"


def watching() -> Measurements:
    measurements = Measurements(reading_seconds=30)
    measurements.put(JOB, POINT, NOW)
    return measurements


def taken(measurements: Measurements, *answers: Telemetry) -> list[Measurement]:
    """Let Prometheus answer; return what is complete after each of the answers."""
    found = []
    for told in answers:
        measurements.take(poll(told))
        if (measurement := measurements.hand_out(JOB)) is not None:
            found.append(measurement)
    return found


def replace_step(told: Telemetry, step: int) -> Telemetry:
    assert told.training is not None
    return replace(told, training=replace(told.training, step=step))


def every(seconds: float, until: float, begin: float = 0) -> list[Telemetry]:
    return [answer(begin + seconds * number) for number in range(int((until - begin) / seconds) + 1)]


def test_it_begins_after_one_whole_answer_and_ends_when_it_is_long_enough() -> None:
    [measured] = taken(watching(), *every(15, until=45))
    assert measured == Measurement(
        attempt=1,
        began_at=NOW + 15,
        ended_at=NOW + 45,
        limit_watts=300.0,
        max_clock_hertz=1_740_000_000,
        gpus=2,
        steps=300,
        gpu_joules=12_000,
    )


def test_the_next_begins_where_it_ended() -> None:
    assert [each.began_at - NOW for each in taken(watching(), *every(15, until=110))] == [15, 45, 75]


def test_two_reports_of_the_trainer_are_in_it_at_least() -> None:
    seldom = [answer(each, reported=each - each % 60) for each in range(0, 200, 15)]
    assert [(each.began_at - NOW, each.seconds) for each in taken(watching(), *seldom)] == [(60, 120)]


def test_steps_are_counted_by_reports_and_joules_by_looks_of_the_same_length() -> None:
    answers = [answer(0), answer(15, reported=14, read=9), answer(30), answer(46, reported=45, read=46)]
    [measured] = taken(watching(), *answers)
    assert measured.seconds == 31
    assert measured.steps == 310
    assert measured.gpu_joules == pytest.approx(31 * 400)


@pytest.mark.parametrize("exporter_lags", [0.0, 3.0, 9.9])
def test_steady_training_is_measured_exactly_whenever_the_exporter_looks(exporter_lags: float) -> None:
    answers = [answer(each, read=each - exporter_lags * (each % 2)) for each in range(10, 60, 15)]
    [measured] = taken(watching(), *answers)
    assert measured.gpu_joules / measured.seconds == pytest.approx(400)


@pytest.mark.parametrize(
    "broken",
    [
        lambda told: replace(told, attempt=2),
        lambda told: replace(told, pods=0),
        lambda told: replace(told, joules={Component.CPU: 1.0}),
        lambda told: replace(told, training=None),
        lambda told: replace(told, training=replace(told.training, step=None)),
        lambda told: replace(told, training=replace(told.training, reported_at=None)),
        lambda told: replace(told, oldest_at=None),
        lambda told: replace(told, read_at=None),
        lambda told: replace(told, oldest_at=NOW - 1),
        lambda told: replace(told, training=replace(told.training, reported_at=NOW - 1)),
    ],
)
def test_answers_that_lack_something_or_are_of_before_make_none(broken: Callable[[Telemetry], Telemetry]) -> None:
    assert taken(watching(), *map(broken, every(15, until=600))) == []


def test_a_step_that_stands_still_is_no_progress_to_measure() -> None:
    assert taken(watching(), *(replace_step(each, 7) for each in every(15, until=600))) == []


def test_a_report_that_tells_no_new_step_ends_none() -> None:
    heartbeats = [answer(each, step=10 * (each - each % 60)) for each in range(0, 300, 15)]
    measured = taken(watching(), *heartbeats)
    assert [(each.seconds, each.steps) for each in measured] == [(120, 1200)]


def test_an_answer_with_a_problem_counts_as_none_and_drops_nothing() -> None:
    measurements = watching()
    taken(measurements, answer(0), answer(15))
    measurements.take(replace(poll(answer(30, joules=0)), problem="it is slow"))
    [measured] = taken(measurements, answer(40), answer(46))
    assert (measured.began_at - NOW, measured.seconds) == (15, 31)


@pytest.mark.parametrize("back", [answer(40, step=3), answer(40, joules=3)])
def test_a_count_that_goes_back_begins_anew(back: Telemetry) -> None:
    # What the counts are afterwards, and a whole answer first, as after any start.
    after = [replace(back, asked_at=NOW + 50), *every(15, begin=60, until=105)]
    [measured] = taken(watching(), answer(0), answer(15), answer(30), back, *after)
    assert measured.began_at >= NOW + 60


def test_two_replicas_in_turn_of_which_one_is_behind_do_not_hold_it_up() -> None:
    behind = [answer(each, reported=each - 20, read=each - 20) for each in range(30, 300, 30)]
    ahead = every(30, begin=45, until=300)
    answers = [each for pair in zip(behind, ahead, strict=True) for each in pair]
    found = taken(watching(), *answers)
    assert len(found) == 4
    assert {(each.steps / each.seconds, each.gpu_joules / each.seconds) for each in found} == {(10, 400)}


def test_a_clock_that_is_set_back_begins_it_anew() -> None:
    after = [answer(each, reported=each - 20, step=10 * each) for each in range(45, 120, 15)]
    [measured, *_] = taken(watching(), *every(15, until=30), *after)
    assert measured.began_at >= NOW + 25
    assert measured.steps / measured.seconds == 10


@pytest.mark.parametrize(
    "other",
    [
        replace(POINT, limit_watts=150.0),
        replace(POINT, attempt=2),
        replace(POINT, pods=("uid-of-another",)),
        replace(POINT, max_clock_hertz=1),
        None,
    ],
)
def test_what_changes_the_point_drops_it(other: object) -> None:
    measurements = watching()
    taken(measurements, *every(15, until=30))
    measurements.put(JOB, other, NOW + 31)  # type: ignore[arg-type]
    measurements.put(JOB, POINT, NOW + 32)
    assert taken(measurements, answer(45), answer(60), answer(75)) == []
    [measured] = taken(measurements, answer(90))
    assert measured.began_at == NOW + 60


def test_the_same_point_again_drops_nothing() -> None:
    measurements = watching()
    taken(measurements, *every(15, until=30))
    measurements.put(JOB, replace(POINT), NOW + 31)
    assert len(taken(measurements, answer(45))) == 1


def test_at_one_point_it_is_measured_ever_more_seldom() -> None:
    lengths = [each.seconds for each in taken(watching(), *every(15, until=8000))]
    assert lengths[: FREQUENT_READINGS + 2] == [30] * FREQUENT_READINGS + [60, 120]
    assert max(lengths) == 30 * LONGEST_READING == lengths[-1]


def test_what_stood_still_for_an_hour_is_in_none() -> None:
    still = [answer(each, reported=30) for each in range(45, 4000, 15)]
    [measured, *_] = taken(watching(), *every(15, until=30), *still, *every(15, begin=4000, until=4060))
    assert measured.began_at >= NOW + 4000


def test_it_is_handed_out_once_and_taken_back_unless_there_is_a_newer_one() -> None:
    measurements = watching()
    [first] = taken(measurements, *every(15, until=45))
    assert measurements.hand_out(JOB) is None
    measurements.take_back(JOB, first)
    assert measurements.hand_out(JOB) == first
    [second] = taken(measurements, *every(15, begin=60, until=75))
    measurements.take_back(JOB, second)
    measurements.take_back(JOB, first)
    assert measurements.hand_out(JOB) == second


def test_nothing_is_kept_of_a_job_that_is_gone() -> None:
    turns = Turns()
    measurements = Measurements(turns=turns)
    measurements.put(JOB, POINT, NOW)
    for told in every(15, until=45):
        measurements.take(poll(told))
    assert turns
    measurements.forget(JOB)
    assert measurements.hand_out(JOB) is None
    assert not turns
    assert taken(measurements, *every(15, begin=60, until=200)) == []


def test_others_are_not_looked_for() -> None:
    turns = Turns()
    measurements = Measurements(turns=turns)
    for told in every(15, until=60):
        measurements.take(poll(told))
    assert not turns


def test_of_many_that_are_complete_some_are_looked_at_at_once_and_the_others_in_turn() -> None:
    turns, jobs = Turns(), [f"job-{number}" for number in range(LOOKED_AT_ONCE + 3)]
    measurements = Measurements(turns=turns)
    for job in jobs:
        measurements.put(job, POINT, NOW)
    for told in every(15, until=45):
        measurements.take(Poll(told.asked_at, dict.fromkeys(jobs, told)))
    assert [turns.take(), turns.take()] == [jobs[:LOOKED_AT_ONCE], jobs[LOOKED_AT_ONCE:]]
    assert not turns
    measurements.hand_out(jobs[0])
    measurements.may_enter(jobs[:2])
    assert turns.take() == [jobs[1]], "what has waited to be entered is news again"
