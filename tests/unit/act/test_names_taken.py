"""An object that somebody else made by the name that Ballast needs is left alone, and that is said at once."""

from __future__ import annotations

import pytest

from ballast.decide.actions import CreateObjects
from ballast.errors import BallastError
from ballast.kube import ApiRefused, ApiUnavailable, NameTaken
from tests.builders import job
from tests.unit.act.api_server import ApiServer, JsonObject, execute

CONFLICT = ApiRefused(409, "Conflict", 'Apply failed with 1 conflict: conflict with "kubectl": .spec.selector')
IMMUTABLE = ApiRefused(422, "Invalid", "spec.template: field is immutable")
GANG = job("train").launched_by("torchrun").placed_on("a").training_job()
SINGLE = job("train").placed_on("a").training_job()


async def _error(server: ApiServer, action: CreateObjects) -> BallastError:
    [(_, error)] = (await execute(server, action)).failed
    return error


async def test_a_service() -> None:
    server = ApiServer(answers=[CONFLICT])
    error = await _error(server, CreateObjects(GANG, 1))
    assert isinstance(error, NameTaken)
    assert error.is_final
    assert "Service train-gang exists already and is somebody else's" in str(error)
    assert len(server.requests) == 1, "the Job must not be made"


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        ({"app": "theirs"}, NameTaken),
        ({"ballast.dev/trainingjob-uid": "uid-of-its-predecessor"}, ApiUnavailable),
    ],
)
async def test_a_job(labels: JsonObject, expected: type[BallastError]) -> None:
    error = await _error(ApiServer(answers=[IMMUTABLE, {"metadata": {"labels": labels}}]), CreateObjects(SINGLE, 1))
    assert type(error) is expected


async def test_its_own_job_that_was_made_a_little_differently_stands() -> None:
    made = {"metadata": {"labels": {"ballast.dev/trainingjob-uid": "uid-of-train"}}}
    action = CreateObjects(SINGLE, 1)
    assert (await execute(ApiServer(answers=[IMMUTABLE, made]), action)).done == [(action, [("Job", made)])]


async def test_a_job_that_is_gone_by_now_is_made_at_once() -> None:
    gone, made = ApiRefused(404, "NotFound", ""), {"kind": "Job"}
    action = CreateObjects(SINGLE, 1)
    assert (await execute(ApiServer(answers=[IMMUTABLE, gone, made]), action)).done == [(action, [("Job", made)])]


async def test_a_job_that_is_wrong_itself_is_refused_for_good() -> None:
    wrong = ApiRefused(422, "Invalid", "spec.template.spec.containers[0].image: Required value")
    server = ApiServer(answers=[wrong, ApiRefused(404, "NotFound", ""), wrong])
    error = await _error(server, CreateObjects(SINGLE, 1))
    assert isinstance(error, ApiRefused)
    assert error.is_final
