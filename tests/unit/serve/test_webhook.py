"""Reviews in, answers out: what is judged, and that doubt lets a job through."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ballast.errors import UserError
from ballast.kube import ApiRefused, ApiUnavailable
from ballast.serve.webhook import Reviewer, application, listen
from tests.unit.serve.reviewed import manifest, review

JsonObject = dict[str, Any]

INSECURE = ApiRefused(403, "Forbidden", 'pods "p" is forbidden: violates PodSecurity "restricted:latest": ...')


class Api:
    """Gives one answer to every dry run."""

    def __init__(self, answer: Exception | None = None, seconds: float = 0) -> None:
        self._answer = answer
        self._seconds = seconds
        self.asked = 0

    async def get(self, path: str) -> JsonObject:
        return {"items": []}

    async def dry_run(self, path: str, body: Mapping[str, Any]) -> JsonObject:
        self.asked += 1
        await asyncio.sleep(self._seconds)
        if self._answer is not None:
            raise self._answer
        return dict(body)


async def response(
    reviewed: JsonObject, api: Api, results: list[str] | None = None, seconds: float = 4.0
) -> dict[str, Any]:
    reviewer = Reviewer(api, (results if results is not None else []).append, seconds)
    answer = await reviewer.answer(reviewed)
    assert (answer["apiVersion"], answer["kind"]) == ("admission.k8s.io/v1", "AdmissionReview")
    assert answer["response"]["uid"] == "review-1"
    found: dict[str, Any] = answer["response"]
    return found


async def test_a_good_job_is_allowed() -> None:
    results: list[str] = []
    assert await response(review(manifest()), Api(), results) == {"uid": "review-1", "allowed": True}
    assert results == ["allowed"]


async def test_a_bad_one_is_refused_as_invalid() -> None:
    results: list[str] = []
    answer = await response(review(manifest()), Api(INSECURE), results)
    assert answer["allowed"] is False
    assert (answer["status"]["code"], answer["status"]["reason"]) == (422, "Invalid")
    assert answer["status"]["message"] == 'spec.template.spec: violates PodSecurity "restricted:latest": ...'
    assert results == ["refused"]


async def test_warnings_reach_the_user() -> None:
    missing = ApiRefused(403, "Forbidden", "error looking up service account team/default: not found")
    answer = await response(review(manifest()), Api(missing))
    assert answer["allowed"] is True
    assert "no ServiceAccount 'default' yet" in answer["warnings"][0]


@pytest.mark.parametrize("trouble", [ApiUnavailable("503: busy"), ApiRefused(404, "NotFound", "namespace")])
async def test_an_api_server_that_does_not_answer_lets_it_through(trouble: Exception) -> None:
    assert (await response(review(manifest()), Api(trouble)))["allowed"] is True


async def test_one_that_is_too_slow_lets_it_through() -> None:
    results: list[str] = []
    assert (await response(review(manifest()), Api(INSECURE, seconds=60), results, seconds=0.01))["allowed"] is True
    assert results == ["unknown"]


async def test_a_job_of_a_newer_api_is_let_through_with_a_warning() -> None:
    newer = manifest()
    newer["spec"]["invented"] = True
    answer = await response(review(newer), Api(INSECURE))
    assert answer["allowed"] is True
    assert "spec.invented" in answer["warnings"][0]


@pytest.mark.parametrize(
    ("new", "judged"),
    [
        (manifest(), False),
        (manifest(replicas=2), True),
        (manifest(priorityClassName="urgent"), True),
        ({**manifest(), "spec": {**manifest()["spec"], "launcher": "torchrun"}}, True),
        ({**manifest(), "spec": {**manifest()["spec"], "checkpointGraceSeconds": 5}}, False),
    ],
)
async def test_of_updates_those_that_change_pods_are_judged(new: JsonObject, judged: bool) -> None:
    api = Api(INSECURE)
    assert (await response(review(new, manifest()), api))["allowed"] is not judged
    assert api.asked == judged


async def test_a_job_that_is_going_can_always_be_updated() -> None:
    going = manifest(replicas=2)
    going["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert (await response(review(going, manifest()), Api(INSECURE)))["allowed"] is True


async def test_a_deletion_is_never_judged() -> None:
    api = Api(INSECURE)
    assert (await response(review(manifest(), manifest(), "DELETE"), api))["allowed"] is True
    assert api.asked == 0


@pytest.mark.parametrize("body", ["{}", "[]", "nothing", '{"request": {}}', '{"request": 3}'])
async def test_what_is_no_review_is_a_bad_request(body: str) -> None:
    async with (
        TestClient(TestServer(application(Reviewer(Api())))) as client,
        client.post("/validate", data=body, headers={"Content-Type": "application/json"}) as answer,
    ):
        assert answer.status == 400
        assert "AdmissionReview" in await answer.text()


async def test_a_review_over_http() -> None:
    async with (
        TestClient(TestServer(application(Reviewer(Api(INSECURE))))) as client,
        client.post("/validate?timeout=5s", json=review(manifest())) as answer,
    ):
        assert answer.status == 200
        assert (await answer.json())["response"]["allowed"] is False


async def test_an_address_that_is_taken_is_the_users_to_change() -> None:
    taken = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = taken.sockets[0].getsockname()[1]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    async with taken:
        with pytest.raises(UserError, match=rf"cannot listen on 127\.0\.0\.1:{port}: .*BALLAST_WEBHOOK_PORT"):
            await listen(application(Reviewer(Api())), "127.0.0.1", port, context)
