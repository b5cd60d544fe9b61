"""Stopping and expiring are deletions of this very object; asking why pods are missing reads events."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ballast.act.executor import PARALLEL_WRITES, Executor
from ballast.decide.actions import AskForRefusal, CreateObjects, Expire, StopAttempt, Transition, WriteStatus
from ballast.kube import ApiUnavailable
from tests.builders import job
from tests.unit.act.api_server import ApiServer, Outcomes, execute

TRAIN = job("train").at_version(41).placed_on("a").training_job()
STOP = StopAttempt(TRAIN, "train-1", "uid-of-train-1")
JOB = "/apis/batch/v1/namespaces/team/jobs/train-1"
LEAVING: dict[str, Any] = {"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}}


async def test_an_attempt_is_stopped_by_deleting_its_job_after_its_pods() -> None:
    server = ApiServer(answers=[LEAVING])
    outcomes = await execute(server, STOP)
    assert server.requests == [("delete", JOB, ("uid-of-train-1", None, "Foreground"))]
    assert outcomes.done == [(STOP, [("Job", LEAVING)])]


@pytest.mark.parametrize("answer", [None, {"kind": "Status", "metadata": {}}], ids=["gone before", "gone now"])
async def test_a_job_that_is_gone_is_stopped(answer: Any) -> None:
    assert (await execute(ApiServer(answers=[answer or {}]), STOP)).done == [(STOP, [])]


async def test_a_job_that_expires_is_deleted_only_as_it_was_seen() -> None:
    server, expire = ApiServer(answers=[{"kind": "Status"}]), Expire(TRAIN)
    outcomes = await execute(server, expire)
    path = "/apis/ballast.dev/v1alpha1/namespaces/team/trainingjobs/train"
    assert server.requests == [("delete", path, ("uid-of-train", "41", "Background"))]
    assert outcomes.done == [(expire, [])]


async def test_the_newest_refusal_is_the_answer() -> None:
    ask = AskForRefusal(TRAIN, "uid-of-train-1")
    server = ApiServer(answers=[["exceeded quota", "older"]])  # type: ignore[list-item]
    outcomes = await execute(server, ask)
    assert server.requests == [("events", "team", ("uid-of-train-1", "FailedCreate"))]
    assert outcomes.done == [(ask, [("Event", {"message": "exceeded quota"})])]


@pytest.mark.parametrize("action", [STOP, Expire(TRAIN), AskForRefusal(TRAIN, "uid")], ids=lambda a: type(a).__name__)
async def test_what_fails_is_reported_once(action: Any) -> None:
    error = ApiUnavailable("no answer")
    outcomes = await execute(ApiServer(answers=[error]), action)
    assert (outcomes.done, outcomes.failed) == ([], [(action, error)])


async def test_a_workers_end_leaves_nothing_behind_that_was_submitted_meanwhile() -> None:
    server, done = ApiServer(), []
    write = WriteStatus(TRAIN, Transition.RUN, TRAIN.status)
    async with asyncio.TaskGroup() as tasks:
        executor = Executor(
            server,  # type: ignore[arg-type]
            Outcomes().events,
            lambda action, answers: done.append(action),
            lambda action, error: None,
            tasks,
        )
        for _ in range(PARALLEL_WRITES):
            executor.submit(write)
        for _ in range(1000):
            if len(done) == PARALLEL_WRITES:
                break
            await asyncio.sleep(0)
        executor.submit(write)  # every worker has just taken its last
        await executor.drain()
    assert len(done) == PARALLEL_WRITES + 1


async def test_room_comes_back_with_the_workers() -> None:
    server = ApiServer()
    async with asyncio.TaskGroup() as tasks:
        executor = Executor(
            server,  # type: ignore[arg-type]
            Outcomes().events,
            lambda action, answers: None,
            lambda action, error: None,
            tasks,
        )
        before = executor.room
        executor.submit(CreateObjects(TRAIN, 1))
        await executor.drain()
        assert executor.room == before
