"""The client: what it sends, and what it says when a server does not answer as it should."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from ballast.errors import UserError
from ballast.observe.prometheus.client import (
    PIECE_CHARACTERS,
    Answer,
    PrometheusClient,
    PrometheusRefused,
    PrometheusUnavailable,
    Row,
    parse_answer,
)

Handler = Callable[[web.Request], Awaitable[web.Response]]


def vector(*rows: tuple[dict[str, str], str], **more: object) -> dict[str, Any]:
    results = [{"metric": labels, "value": [1.5, value]} for labels, value in rows]
    return {"status": "success", "data": {"resultType": "vector", "result": results}, **more}


def compact(content: object) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()


@asynccontextmanager
async def serving(handler: Handler) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/")


def answering(status: int, body: bytes, content_type: str = "application/json", **headers: str) -> Handler:
    async def handle(_: web.Request) -> web.Response:
        return web.Response(status=status, body=body, content_type=content_type, headers=headers)

    return handle


async def ask(url: str, **settings: Any) -> Answer[list[Row]]:
    async with PrometheusClient(url, **settings) as client:
        return await client.query("up", 12.5, list)


async def refusal(handler: Handler, error: type[Exception] = PrometheusRefused, **settings: Any) -> str:
    async with serving(handler) as url:
        with pytest.raises(error) as raised:
            await ask(url, **settings)
    return str(raised.value)


async def test_it_posts_the_query_below_the_path_and_keeps_what_the_address_says() -> None:
    seen: list[web.Request] = []
    forms = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request)
        forms.append(dict(await request.post()))
        return web.json_response(vector(({"a": "b"}, "1.25")))

    async with serving(handle) as url:
        for path in ("/prom", "/prom/", "/prom/api/v1", "/prom/api/v1/query"):
            answer = await ask(f"{url}{path}?dedup=true", headers={"X-Scope-OrgID": "team"})
    assert answer == Answer([({"a": "b"}, 1.25)])
    assert {str(request.rel_url) for request in seen} == {"/prom/api/v1/query?dedup=true"}
    assert {(request.method, request.headers["X-Scope-OrgID"]) for request in seen} == {("POST", "team")}
    assert forms[0] == {"query": "up", "time": "12.500", "timeout": "10000ms"}


async def test_the_token_is_read_anew_when_its_file_changes(tmp_path: Path) -> None:
    seen = []

    async def handle(request: web.Request) -> web.Response:
        seen.append(request.headers["Authorization"])
        return web.json_response(vector())

    token = tmp_path / "token"
    token.write_text("one\n")
    async with serving(handle) as url, PrometheusClient(url, token) as client:
        await client.query("up", 1, list)
        replaced = tmp_path / "new"
        replaced.write_text("two\n")
        replaced.replace(token)
        await client.query("up", 1, list)
    assert seen == ["Bearer one", "Bearer two"]


@pytest.mark.parametrize("content", [None, "", "two words", "a\nb"])
async def test_a_token_that_is_none(tmp_path: Path, content: str | None) -> None:
    token = tmp_path / "token"
    if content is not None:
        token.write_text(content)
    told = await refusal(answering(200, compact(vector())), token_file=token)
    assert f"BALLAST_PROMETHEUS_TOKEN_FILE={token} cannot be used" in told


async def test_authorities_that_are_none(tmp_path: Path) -> None:
    file = tmp_path / "ca.crt"
    file.write_text("nothing")
    told = await refusal(answering(200, compact(vector())), ca_file=file)
    assert f"BALLAST_PROMETHEUS_CA_FILE={file} cannot be used" in told


async def test_not_allowed() -> None:
    told = await refusal(answering(401, b"no token\n", "text/plain"))
    assert "answered 401 (no token): name a file with a bearer token by BALLAST_PROMETHEUS_TOKEN_FILE" in told


async def test_not_allowed_in_spite_of_the_token(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("t")
    told = await refusal(answering(403, b""), token_file=tmp_path / "token")
    assert f"the token in {tmp_path / 'token'} is not accepted" in told


async def test_a_wrong_path() -> None:
    assert "correct the path of BALLAST_PROMETHEUS_URL" in await refusal(answering(404, b"404 page not found"))


async def test_a_query_that_is_not_carried_out_is_told_in_the_servers_words() -> None:
    body = compact({"status": "error", "errorType": "execution", "error": "too many samples"})
    assert "422 (execution: too many samples)" in await refusal(answering(422, body))


async def test_an_error_with_a_good_status() -> None:
    body = compact({"status": "error", "errorType": "internal", "error": "store is gone"})
    assert "cannot answer: internal: store is gone" in await refusal(answering(200, body))


async def test_a_login_page() -> None:
    told = await refusal(answering(200, b"<html>Sign in", "text/html"))
    assert "does not answer as Prometheus does (Content-Type text/html" in told
    assert "'<html>Sign in'" in told


@pytest.mark.parametrize(
    "content",
    [[], {}, {"status": "success"}, {"status": "success", "data": {"resultType": "scalar", "result": [1, "2"]}}],
)
async def test_other_json(content: object) -> None:
    assert "does not answer as Prometheus does" in await refusal(answering(200, compact(content)))


async def test_a_redirection_is_not_followed() -> None:
    told = await refusal(answering(302, b"", Location="https://elsewhere/login"))
    assert "answered 302 (https://elsewhere/login)" in told


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_an_overloaded_server_may_answer_the_next_time(status: int) -> None:
    assert f"answered {status} (later)" in await refusal(answering(status, b"later"), PrometheusUnavailable)


async def test_too_long_an_answer() -> None:
    told = await refusal(answering(200, b"x" * (3 << 20)), max_bytes=2 << 20)
    assert "answers more than 2 MiB" in told


async def test_no_answer_in_time() -> None:
    async def handle(_: web.Request) -> web.Response:
        await asyncio.sleep(5)
        return web.Response()

    assert "did not answer within 0.1 s" in await refusal(handle, PrometheusUnavailable, timeout_seconds=0.1)


async def test_nobody_there(unused_tcp_port: int) -> None:
    with pytest.raises(PrometheusUnavailable, match="cannot be reached"):
        await ask(f"http://127.0.0.1:{unused_tcp_port}")


async def test_tls_where_there_is_none() -> None:
    async with serving(answering(200, compact(vector()))) as url:
        with pytest.raises(PrometheusRefused, match="does not speak TLS as expected"):
            await ask(url.replace("http://", "https://"))


async def test_a_password_in_the_address_stands_in_no_message() -> None:
    async with serving(answering(404, b"")) as url:
        with pytest.raises(PrometheusRefused) as raised:
            await ask(url.replace("http://", "http://user:secret@"))
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("url", ["", "prometheus:9090", "ftp://prometheus", "http://", "http://a:b"])
def test_an_address_that_is_none(url: str) -> None:
    with pytest.raises(UserError, match="BALLAST_PROMETHEUS_URL is no address"):
        PrometheusClient(url)


def test_an_answer_in_part_says_so() -> None:
    answer = parse_answer(compact(vector(({}, "1"), warnings=["store down"], infos=["x"])), list)
    assert answer == Answer([({}, 1.0)], ("store down",))


def test_numbers_that_are_none_are_left_to_whoever_reads_them() -> None:
    values = [value for _, value in parse_answer(compact(vector(({}, "NaN"), ({}, "+Inf"))), list).value]
    assert str(values) == "[nan, inf]"


def test_histograms_are_left_out() -> None:
    content = vector(({}, "1"))
    content["data"]["result"].append({"metric": {}, "histogram": [1, {}]})
    assert parse_answer(compact(content), list).value == [({}, 1.0)]


@pytest.mark.parametrize("trap", ["", '},{"metric":{', "]}\\"])
def test_a_long_answer_is_parsed_in_pieces_with_the_same_result(trap: str) -> None:
    rows = [({"pod": f"pod-{number}", "trap": trap}, float(number)) for number in range(PIECE_CHARACTERS // 20)]
    content = vector(*((labels, str(value)) for labels, value in rows), warnings=["w"])
    body = compact(content)
    assert len(body) > 3 * PIECE_CHARACTERS
    assert parse_answer(body, list) == Answer(rows, ("w",))
    assert parse_answer(json.dumps(content, indent=1).encode(), list) == Answer(rows, ("w",))


def test_a_long_answer_that_is_cut_off_is_none() -> None:
    body = compact(vector(*(({"pod": str(number)}, "1") for number in range(PIECE_CHARACTERS // 20))))
    with pytest.raises(ValueError, match=r"."):
        parse_answer(body[:-20], list)
