"""Events: named after what they say, so that a restart does not repeat them; sent in order, dropped when too many."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import replace

import pytest

from ballast.act import events
from ballast.act.events import EventRecorder, event
from ballast.decide.actions import Note
from ballast.errors import BallastError
from ballast.kube import ApiRefused, ApiUnavailable
from tests.builders import JobBuilder, at, job
from tests.unit.act.api_server import ApiServer

TRAIN = job("train")
NOTE = Note("Admitted", "1 A100 on a")


def name(of: JobBuilder = TRAIN, attempt: int = 1, note: Note = NOTE, seconds: float = 0) -> str:
    body = event(of.training_job(), attempt, note, at(seconds))
    found: str = body["metadata"]["name"]
    return found


def test_it_is_about_the_job() -> None:
    body = event(TRAIN.training_job(), 1, NOTE, at(0))
    assert body["involvedObject"] == {
        "apiVersion": "ballast.dev/v1alpha1",
        "kind": "TrainingJob",
        "name": "train",
        "namespace": "team",
        "uid": "uid-of-train",
    }
    assert body["metadata"]["namespace"] == "team"
    assert (body["type"], body["reason"], body["message"]) == ("Normal", "Admitted", "1 A100 on a")
    assert body["firstTimestamp"] == body["lastTimestamp"] == "2027-01-15T08:00:00Z"


def test_a_warning_is_one() -> None:
    assert event(TRAIN.training_job(), 1, replace(NOTE, warning=True), at(0))["type"] == "Warning"


def test_a_long_message_is_cut_to_what_the_api_takes() -> None:
    assert len(event(TRAIN.training_job(), 1, Note("Long", "x" * 5_000), at(0))["message"]) == 1_024


def test_saying_the_same_again_later_has_the_same_name() -> None:
    assert name(seconds=0) == name(seconds=3_600)
    assert name().startswith("train.")


def test_saying_anything_else_has_another() -> None:
    others = [
        name(attempt=2),
        name(note=Note("Admitted", "1 A100 on b")),
        name(note=Note("Running", "1 A100 on a")),
        name(of=TRAIN.at_generation(2)),
        name(of=TRAIN.known_as("another")),
    ]
    assert len({name(), *others}) == 6


async def sent(server: ApiServer, recorder: EventRecorder) -> list[str]:
    """Run the recorder until everything queued is sent, and return the messages."""
    task = asyncio.create_task(recorder.run())
    await recorder.flush(timeout_seconds=30)
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    return [body["message"] for _, _, body in server.requests]


def told(recorder: EventRecorder, *messages: str) -> None:
    for message in messages:
        recorder.record(TRAIN.training_job(), 1, Note("Told", message))


async def test_events_are_sent_in_order() -> None:
    server = ApiServer()
    recorder = EventRecorder(server, per_second=1_000)
    told(recorder, "one", "two")
    assert await sent(server, recorder) == ["one", "two"]
    assert {path for _, path, _ in server.requests} == {"/api/v1/namespaces/team/events"}


async def test_when_there_are_too_many_the_oldest_are_dropped_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MAX_QUEUED", 2)
    server, dropped = ApiServer(), []
    recorder = EventRecorder(server, per_second=1_000, on_dropped=lambda: dropped.append(1))
    told(recorder, "one", "two", "three")
    assert await sent(server, recorder) == ["two", "three"]
    assert len(dropped) == 1


@pytest.mark.parametrize(
    ("error", "counted"),
    [
        (ApiRefused(409, "AlreadyExists", "sent before"), 0),
        (ApiRefused(404, "NotFound", "no namespace"), 0),
        (ApiUnavailable("no answer"), 1),
    ],
)
async def test_an_event_that_cannot_be_sent_stops_nothing(error: BallastError, counted: int) -> None:
    server, dropped = ApiServer(answers=[error]), []
    recorder = EventRecorder(server, per_second=1_000, on_dropped=lambda: dropped.append(1))
    told(recorder, "one", "two")
    assert await sent(server, recorder) == ["one", "two"]
    assert len(dropped) == counted


async def test_flushing_waits_no_longer_than_it_is_told_to() -> None:
    recorder = EventRecorder(ApiServer())
    told(recorder, "never sent, because nobody runs it")
    await recorder.flush(timeout_seconds=0.01)
