"""A pod is told its own readings and nobody else's; every refusal says what to do."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from ballast.agent.serving.server import Answer, application
from ballast.api.readings import PodReadings
from ballast.kube import ApiUnavailable
from tests.unit.agent.token_reviews import TOKEN, TokenReviews, accepted

OTHER = "other.pods.token"
TIME = datetime(2026, 1, 1, tzinfo=UTC)


def readings_of(uid: str) -> PodReadings:
    return PodReadings(
        pod_uid=uid, namespace="team", name="train-1-0", node="v100-0", at=TIME, since=TIME, joules=12.5, watts=3.0
    )


@dataclass
class Agent:
    """What pods ask."""

    api: TokenReviews = field(default_factory=TokenReviews)
    readings: Mapping[str, PodReadings] = field(default_factory=lambda: {"uid-1": readings_of("uid-1")})
    answers: list[Answer] = field(default_factory=list)

    async def ask(
        self, token: str | None = TOKEN, path: str = "/v1/readings", method: str = "GET", scheme: str = "Bearer"
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        app = application(self.api.tokens, self.readings.get, self.answers.append)
        headers = {} if token is None else {"Authorization": f"{scheme} {token}"}
        async with (
            TestClient(TestServer(app)) as client,
            client.request(method, path, headers=headers) as response,
        ):
            return response.status, await response.json(content_type=None), response.headers


async def test_a_pod_is_told_its_own_readings() -> None:
    agent = Agent()
    status, content, headers = await agent.ask()
    assert status == 200
    assert PodReadings.model_validate(content) == readings_of("uid-1")
    assert content["podUid"] == "uid-1"
    assert headers["Content-Type"].startswith("application/json")
    assert agent.answers == [Answer.TOLD]


@pytest.mark.parametrize("token", [TOKEN, None])
async def test_no_answer_is_kept_in_a_cache(token: str | None) -> None:
    _, _, headers = await Agent().ask(token)
    assert headers["Cache-Control"] == "no-store"


async def test_a_pod_may_name_itself() -> None:
    assert (await Agent().ask(path="/v1/readings?pod=uid-1"))[0] == 200


@pytest.mark.parametrize("query", ["pod=uid-2", "pod=uid-1&pod=uid-2", "pod="])
async def test_but_not_another_pod(query: str) -> None:
    agent = Agent(readings={uid: readings_of(uid) for uid in ("uid-1", "uid-2")})
    status, content, _ = await agent.ask(path=f"/v1/readings?{query}")
    assert status == 403
    assert content["detail"] == (
        "the token is that of pod train-1-0 (uid-1), and a pod is told its own readings only: leave ?pod= out"
    )
    assert agent.answers == [Answer.FORBIDDEN]


@pytest.mark.parametrize(
    ("token", "scheme", "told"),
    [
        (None, "Bearer", "there is no token: send 'Authorization: Bearer' and a token of audience ballast-agent"),
        ("", "Bearer", "there is no token"),
        (TOKEN, "Basic", "there is no token"),
        ("made.up.token", "Bearer", "the token is not valid here"),
    ],
)
async def test_nobody_is_told_nothing(token: str | None, scheme: str, told: str) -> None:
    agent = Agent()
    status, content, headers = await agent.ask(token, scheme=scheme)
    assert status == content["status"] == 401
    assert content["title"] == "Unauthorized"
    assert content["detail"].startswith(told)
    assert headers["WWW-Authenticate"] == 'Bearer realm="ballast-agent"'
    assert headers["Content-Type"].startswith("application/problem+json")
    assert agent.answers == [Answer.UNAUTHENTICATED]


async def test_a_pod_of_another_node_is_sent_to_its_own_agent() -> None:
    agent = Agent(TokenReviews(**{TOKEN: accepted(node="a40-0")}))
    status, content, _ = await agent.ask()
    assert status == 403
    assert "runs on node a40-0" in content["detail"]
    assert agent.answers == [Answer.FORBIDDEN]


async def test_a_pod_without_readings_is_told_to_ask_again() -> None:
    agent = Agent(readings={})
    status, content, _ = await agent.ask()
    assert (status, content["detail"]) == (
        404,
        "there are no readings of pod train-1-0 yet: ask again in a second",
    )
    assert agent.answers == [Answer.UNKNOWN]


async def test_where_the_api_server_is_away_nothing_is_told() -> None:
    agent = Agent()
    agent.api.error = ApiUnavailable("connection refused")
    status, content, headers = await agent.ask()
    assert (status, headers["Retry-After"]) == (503, "1")
    assert "cannot be asked" in content["detail"]
    assert agent.answers == [Answer.UNAVAILABLE]


async def test_who_asks_too_often_is_told_when_to_ask_again() -> None:
    agent = Agent()
    app = application(agent.api.tokens, agent.readings.get, agent.answers.append)
    async with TestClient(TestServer(app)) as client:
        statuses = []
        for _ in range(21):
            async with client.get("/v1/readings", headers={"Authorization": f"Bearer {TOKEN}"}) as response:
                statuses.append(response.status)
        assert statuses == [200] * 20 + [429]
        assert response.headers["Retry-After"] == "1"
    assert agent.answers[-1] is Answer.LIMITED


async def test_readings_of_another_pod_are_never_told_whatever_the_agent_holds() -> None:
    agent = Agent(readings={"uid-1": readings_of("uid-2")})
    status, content, _ = await agent.ask()
    assert status == 500
    assert "joules" not in content
    assert agent.answers == [Answer.FAILED]


@pytest.mark.parametrize(("method", "path", "status"), [("POST", "/v1/readings", 405), ("GET", "/", 404)])
async def test_there_is_nothing_else(method: str, path: str, status: int) -> None:
    agent = Agent()
    answered, content, headers = await agent.ask(path=path, method=method)
    assert (answered, content["detail"]) == (status, "there is only GET /v1/readings")
    assert headers.get("Allow", "GET") == "GET"
    assert agent.answers == []


async def test_no_token_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    agent = Agent(readings={"uid-1": readings_of("uid-2")})
    with caplog.at_level(logging.DEBUG):
        await agent.ask()
        await agent.ask(OTHER)
    assert any(record.exc_info for record in caplog.records)
    said = caplog.text + str([vars(record) for record in caplog.records])
    assert TOKEN not in said
    assert OTHER not in said
