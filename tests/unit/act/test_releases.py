"""A pod is let go by one patch that takes Ballast's finalizer and no other, beside the other writes."""

from __future__ import annotations

import asyncio
import logging

import pytest

from ballast.act.executor import PARALLEL_RELEASES, PARALLEL_WRITES, Executor
from ballast.api.finalreading import FINALIZER
from ballast.decide.actions import Action, CreateObjects, ReleaseOrphan, ReleasePod
from ballast.decide.snapshot import Orphan
from ballast.kube import ApiRefused, ApiUnavailable
from tests.builders import job
from tests.unit.act.api_server import ApiServer, Outcomes, execute

GANG = job("gang").placed_on("a").training_job()
RELEASE = ReleasePod(GANG, "gang-1-0", "uid-0", 1)
ORPHAN = ReleaseOrphan(Orphan("other", "gone-1-0", "uid-9", 0))
POD = {"metadata": {"name": "gang-1-0", "uid": "uid-0"}}


@pytest.mark.parametrize(
    ("action", "path", "uid", "position"),
    [
        (RELEASE, "/api/v1/namespaces/team/pods/gang-1-0", "uid-0", 1),
        (ORPHAN, "/api/v1/namespaces/other/pods/gone-1-0", "uid-9", 0),
    ],
    ids=["of a job", "of none"],
)
async def test_it_names_the_pod_and_the_place(action: Action, path: str, uid: str, position: int) -> None:
    server = ApiServer([POD])
    outcomes = await execute(server, action)
    finalizer = f"/metadata/finalizers/{position}"
    assert server.requests == [
        (
            "patch",
            path,
            [
                {"op": "test", "path": "/metadata/uid", "value": uid},
                {"op": "test", "path": finalizer, "value": FINALIZER},
                {"op": "remove", "path": finalizer},
            ],
        )
    ]
    assert outcomes.done == [(action, [("Pod", POD)])]


async def test_a_pod_that_is_gone_is_let_go() -> None:
    outcomes = await execute(ApiServer([ApiRefused(404, "NotFound", "no pod")]), RELEASE)
    assert outcomes.done == [(RELEASE, [])]


@pytest.mark.parametrize("error", [ApiRefused(422, "Invalid", "test failed"), ApiUnavailable("503")], ids=str)
async def test_whatever_else_goes_wrong_is_told(error: ApiRefused | ApiUnavailable) -> None:
    outcomes = await execute(ApiServer([error]), RELEASE)
    assert outcomes.failed == [(RELEASE, error)]


async def test_that_a_finalizer_moved_is_no_news(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    await execute(ApiServer([ApiRefused(422, "Invalid", "test failed")]), ORPHAN)
    assert not caplog.records
    await execute(ApiServer([ApiRefused(403, "Forbidden", "no right")]), ORPHAN)
    assert [record.__dict__["about"] for record in caplog.records] == ["other/gone-1-0"]


async def test_releases_take_no_place_of_other_writes_and_have_their_own_client() -> None:
    slow, quick = ApiServer(hold=asyncio.Event()), ApiServer()
    outcomes = Outcomes()
    async with asyncio.TaskGroup() as tasks:
        executor = Executor(
            quick,  # type: ignore[arg-type]
            outcomes.events,
            lambda action, answers: outcomes.done.append((action, list(answers))),
            lambda action, error: outcomes.failed.append((action, error)),
            tasks,
            release_kube=slow,  # type: ignore[arg-type]
        )
        room = executor.room
        for number in range(3 * PARALLEL_WRITES):
            executor.submit(ReleasePod(GANG, f"gang-1-{number}", f"uid-{number}"))
        assert executor.room == room
        executor.submit(CreateObjects(GANG, 1))
        await asyncio.sleep(0.01)
        assert [type(action) for action, _ in outcomes.done] == [CreateObjects]
        assert len(slow.requests) == PARALLEL_RELEASES
        assert slow.hold is not None
        slow.hold.set()
    assert len(outcomes.done) == 3 * PARALLEL_WRITES + 1


async def test_a_stop_leaves_those_that_wait_to_the_next_leader() -> None:
    """Each is decided again, and thousands would take longer than a stop may."""
    slow, outcomes = ApiServer(hold=asyncio.Event()), Outcomes()
    async with asyncio.TaskGroup() as tasks:
        executor = Executor(
            slow,  # type: ignore[arg-type]
            outcomes.events,
            lambda action, answers: outcomes.done.append((action, list(answers))),
            lambda action, error: outcomes.failed.append((action, error)),
            tasks,
        )
        for number in range(3 * PARALLEL_RELEASES):
            executor.submit(ReleasePod(GANG, f"gang-1-{number}", f"uid-{number}"))
        await asyncio.sleep(0.01)
        stopping = tasks.create_task(executor.drain())
        await asyncio.sleep(0)
        assert slow.hold is not None
        slow.hold.set()
        await stopping
    assert len(outcomes.done) == PARALLEL_RELEASES
