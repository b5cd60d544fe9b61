"""Every action becomes its requests, with preconditions, and is reported done or failed exactly once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from ballast.act import executor
from ballast.act.executor import MAX_IN_FLIGHT, Executor
from ballast.act.exporter_sidecar import ExporterSidecar
from ballast.act.manifests import service, ungate_patch, workload
from ballast.decide.actions import CreateObjects, Note, Transition, Ungate, WriteStatus
from ballast.kube import ApiRefused, ApiUnavailable
from tests.builders import JobBuilder, job, pod
from tests.unit.act.api_server import ApiServer, Outcomes, execute

STATUS = "/apis/ballast.dev/v1alpha1/namespaces/team/trainingjobs/train/status"
JOB = "/apis/ballast.dev/v1alpha1/namespaces/team/trainingjobs/train"
PLACED = job("train").at_version(41).placed_on("a")
LOST = ApiUnavailable("no answer")
CONFLICT = ApiRefused(409, "Conflict", "changed meanwhile")


def write(transition: Transition, of: JobBuilder = PLACED) -> WriteStatus:
    built = of.training_job()
    return WriteStatus(built, transition, built.status, Note("Told", "as it is"))


def seen(of: JobBuilder) -> dict[str, Any]:
    return of.manifest()


async def test_a_status_is_applied_whole_to_this_very_job() -> None:
    server = ApiServer(answers=[{"answer": 1}])
    action = write(Transition.RUN)
    outcomes = await execute(server, action)
    [(verb, path, body)] = server.requests
    assert (verb, path) == ("apply", STATUS)
    identity = {"name": "train", "namespace": "team", "uid": "uid-of-train", "resourceVersion": "41"}
    assert body["metadata"] == identity, "the version makes it fail where the job was edited meanwhile"
    assert body["status"] == action.status.to_manifest()
    assert outcomes.done == [(action, [("TrainingJob", {"answer": 1})])]
    assert outcomes.failed == []


async def test_the_owner_is_told_after_the_write() -> None:
    assert (await execute(ApiServer(), write(Transition.RUN))).told == [("train", 1, "Told")]
    assert (await execute(ApiServer(answers=[CONFLICT]), write(Transition.RUN))).told == []


async def test_a_job_without_a_launcher_needs_no_service() -> None:
    server = ApiServer(answers=[{"kind": "Job"}])
    action = CreateObjects(PLACED.training_job(), 1)
    outcomes = await execute(server, action)
    path = "/apis/batch/v1/namespaces/team/jobs/train-1"
    assert server.requests == [("apply", path, workload(PLACED.training_job(), 1))]
    assert outcomes.done == [(action, [("Job", {"kind": "Job"})])]


async def test_pods_get_the_exporter_that_the_operator_is_set_to() -> None:
    server, exporter = ApiServer(), ExporterSidecar("exporter:1")
    await execute(server, CreateObjects(PLACED.training_job(), 1), exporter=exporter)
    [(_, _, made)] = server.requests
    assert made == workload(PLACED.training_job(), 1, exporter=exporter)


async def test_a_service_comes_before_its_pods() -> None:
    server, gang = ApiServer(), PLACED.launched_by("torchrun").training_job()
    await execute(server, CreateObjects(gang, 1))
    assert server.requests == [
        ("apply", "/api/v1/namespaces/team/services/train-gang", service(gang)),
        ("apply", "/apis/batch/v1/namespaces/team/jobs/train-1", workload(gang, 1)),
    ]


async def test_ungating_is_one_patch() -> None:
    server, gated = ApiServer(answers=[{"kind": "Pod"}]), pod(0, of=PLACED).gated("other")
    action = Ungate(PLACED.training_job(), gated.name, gated.uid, "a", 1, {"podAffinity": {}})
    outcomes = await execute(server, action)
    operations = ungate_patch(gated.uid, 1, {"podAffinity": {}}, "a")
    assert server.requests == [("patch", "/api/v1/namespaces/team/pods/train-1-0", operations)]
    assert outcomes.done == [(action, [("Pod", {"kind": "Pod"})])]


@pytest.mark.parametrize("error", [LOST, CONFLICT])
@pytest.mark.parametrize(
    "action",
    [
        write(Transition.QUEUE),
        CreateObjects(PLACED.training_job(), 1),
        Ungate(PLACED.training_job(), "train-1-0", "uid", "a", 0),
    ],
    ids=lambda action: type(action).__name__,
)
async def test_what_fails_is_reported_once(action: Any, error: Any) -> None:
    outcomes = await execute(ApiServer(answers=[error]), action)
    assert outcomes.done == []
    assert outcomes.failed == [(action, error)]


async def test_one_failure_does_not_touch_the_others() -> None:
    first, second = write(Transition.RUN), write(Transition.RUN, job("other").placed_on("a"))
    outcomes = await execute(ApiServer(answers=[CONFLICT, {}]), first, second)
    assert [action for action, _ in outcomes.failed] == [first]
    assert [action for action, _ in outcomes.done] == [second]


async def test_an_admission_whose_answer_was_lost_is_looked_up() -> None:
    server = ApiServer(answers=[LOST, seen(PLACED)])
    action = write(Transition.ADMIT)
    outcomes = await execute(server, action)
    assert [(verb, path) for verb, path, _ in server.requests] == [("apply", STATUS), ("get", JOB)]
    assert outcomes.done == [(action, [("TrainingJob", seen(PLACED))])]
    assert outcomes.told == [("train", 1, "Told")]


@pytest.mark.parametrize(
    "found", [seen(job("train")), seen(PLACED.known_as("another"))], ids=["not admitted", "another job"]
)
async def test_one_that_never_arrived_has_failed(found: dict[str, Any]) -> None:
    action = write(Transition.ADMIT)
    outcomes = await execute(ApiServer(answers=[LOST, found]), action)
    assert outcomes.failed == [(action, LOST)]
    assert outcomes.done == []


async def test_one_whose_job_is_gone_has_failed() -> None:
    gone = ApiRefused(404, "NotFound", "gone")
    action = write(Transition.ADMIT)
    assert (await execute(ApiServer(answers=[LOST, gone]), action)).failed == [(action, gone)]


async def test_it_is_looked_up_until_somebody_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor, "LOOK_AGAIN_SECONDS", 0)
    server, outcomes, action = ApiServer(answers=[LOST, LOST, LOST, seen(PLACED)]), Outcomes(), write(Transition.ADMIT)
    finished = asyncio.Event()
    async with asyncio.TaskGroup() as tasks:
        Executor(
            server,  # type: ignore[arg-type]
            outcomes.events,
            lambda action, answers: finished.set(),
            lambda action, error: None,
            tasks,
        ).submit(action)
        await finished.wait()
    assert [verb for verb, _, _ in server.requests] == ["apply", "get", "get", "get"]


async def test_room_is_what_is_not_under_way_and_none_until_half_is_done() -> None:
    server, outcomes = ApiServer(hold=asyncio.Event()), Outcomes()
    assert server.hold is not None
    async with asyncio.TaskGroup() as tasks:
        busy = Executor(
            server,  # type: ignore[arg-type]
            outcomes.events,
            lambda action, answers: None,
            lambda action, error: None,
            tasks,
        )
        assert busy.room == MAX_IN_FLIGHT
        for _ in range(MAX_IN_FLIGHT // 2):
            busy.submit(write(Transition.RUN))
        await asyncio.sleep(0)
        assert busy.room == MAX_IN_FLIGHT // 2
        busy.submit(write(Transition.RUN))
        assert busy.room == 0
        server.hold.set()
        await busy.drain()
        assert busy.room == MAX_IN_FLIGHT


async def test_requests_are_bounded_in_parallel() -> None:
    server = ApiServer(hold=asyncio.Event())
    assert server.hold is not None
    async with asyncio.TaskGroup() as tasks:
        busy = Executor(
            server,  # type: ignore[arg-type]
            Outcomes().events,
            lambda action, answers: None,
            lambda action, error: None,
            tasks,
        )
        for _ in range(executor.PARALLEL_WRITES + 5):
            busy.submit(write(Transition.RUN))
        for _ in range(10):
            await asyncio.sleep(0)
        assert len(server.requests) == executor.PARALLEL_WRITES
        server.hold.set()
        await busy.drain()
    assert len(server.requests) == executor.PARALLEL_WRITES + 5
