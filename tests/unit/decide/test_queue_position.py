"""A waiting job is told its place, ever more coarsely with the distance, and when its turn comes at that pace."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

import pytest

from ballast.api.conditions import Reason
from ballast.api.jobstatus import QueueStatus
from ballast.decide.actions import WriteStatus
from ballast.decide.explaining import explain, rounded_up
from ballast.decide.queueing import Admissions
from ballast.decide.snapshot import Refusal
from tests.builders import NOW, JobBuilder, at, job, snapshot

FULL = Refusal(Reason.WAITING_FOR_CAPACITY, "needs 1 pod x 8 GPUs; A100 0 of 8 free")
WAITING = job("train").with_gpus(8)


def told(waiting: JobBuilder, pace: float | None = None, now: float = NOW) -> WriteStatus | None:
    built = waiting.build()
    assert built.gang is not None
    seen = replace(snapshot(waiting=[waiting], now=now), gpus_per_second=pace)
    writes = explain(seen, Admissions((), {built.gang: FULL}, None))
    return writes[0] if writes else None


def known(position: int, start: datetime | None = None) -> JobBuilder:
    queue = QueueStatus(position=position, predicted_start=start)
    return WAITING.told(Reason.WAITING_FOR_CAPACITY).with_status(queue=queue)


@pytest.mark.parametrize(
    ("position", "shown"),
    [(1, 1), (10, 10), (11, 20), (20, 20), (21, 50), (51, 100), (101, 200), (5_000, 5_000), (5_001, 10_000)],
)
def test_places_are_exact_to_ten_then_rounded_up(position: int, shown: int) -> None:
    assert rounded_up(position) == shown


def test_a_new_job_is_told_its_place() -> None:
    write = told(WAITING.at_place(17, 40))
    assert write is not None
    assert write.status.queue == QueueStatus(position=20)


@pytest.mark.parametrize("place", [11, 15, 20])
def test_a_small_step_forward_is_not_worth_a_write(place: int) -> None:
    assert told(known(20).at_place(place, 100)) is None


def test_another_place_is_told_without_a_note_and_without_touching_the_condition() -> None:
    write = told(known(20).at_place(9, 30))
    assert write is not None
    assert write.status.queue == QueueStatus(position=9)
    assert write.note is None
    assert write.status.conditions == known(20).status.conditions
    assert write.explains_only


@pytest.mark.parametrize(("gpus", "pace", "minutes"), [(8, 0.1, 2), (1, 10.0, 1), (600, 0.1, 100)])
def test_a_start_is_predicted_to_the_minute(gpus: int, pace: float, minutes: int) -> None:
    write = told(WAITING.at_place(1, gpus), pace)
    assert write is not None
    assert write.status.queue is not None
    assert write.status.queue.predicted_start == at(60 * minutes)


def test_without_a_pace_nothing_is_predicted() -> None:
    write = told(WAITING.at_place(1, 8), None)
    assert write is not None
    assert write.status.queue == QueueStatus(position=1)


def test_a_prediction_stands_until_it_has_passed() -> None:
    assert told(known(1, at(60)).at_place(1, 8), 0.1, NOW + 60) is None
    write = told(known(1, at(60)).at_place(1, 8), 0.1, NOW + 61)
    assert write is not None
    assert write.status.queue == QueueStatus(position=1, predicted_start=at(61 + 120))


def test_a_first_prediction_is_told() -> None:
    assert told(known(1).at_place(1, 8), 0.1) is not None
