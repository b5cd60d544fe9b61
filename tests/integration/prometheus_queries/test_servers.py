"""Servers as people run them: behind TLS, below a path, behind a proxy that wants a token."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from ballast.observe.prometheus.client import PrometheusClient, PrometheusRefused
from ballast.serve.certificates import new_authority, serving_certificate
from tests.integration.prometheus_queries.conftest import Scraped
from tests.integration.prometheus_queries.server import PrometheusServer

TOKEN = "open-sesame"  # noqa: S105 - of a test


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With the authority of the server behind TLS."""
    return tmp_path_factory.mktemp("tls")


@pytest.fixture(scope="module")
def behind_tls(folder: Path) -> Iterator[str]:
    """The address of a server that speaks TLS only, below /prom."""
    start = datetime.now(UTC) - timedelta(hours=1)
    authority, authority_key = new_authority("Test", start, start + timedelta(days=1))
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.IPAddress(IPv4Address("127.0.0.1"))
    end = start + timedelta(days=1)
    certificate = serving_certificate(authority, authority_key, key.public_key(), "prometheus", [name], start, end)
    (folder / "ca.crt").write_bytes(authority.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    (folder / "tls.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    tls = {"tls_server_config": {"cert_file": str(folder / "tls.crt"), "key_file": str(folder / "tls.key")}}
    with PrometheusServer(folder, web_config=tls, prefix="/prom") as server:
        yield server.url


async def test_tls_below_a_path(behind_tls: str, folder: Path) -> None:
    async with PrometheusClient(behind_tls, ca_file=folder / "ca.crt") as client:
        assert (await client.query("vector(7)", time.time(), list)).value == [({}, 7.0)]


async def test_an_authority_that_is_not_trusted(behind_tls: str) -> None:
    async with PrometheusClient(behind_tls) as client:
        with pytest.raises(PrometheusRefused, match=r"certificate that is not trusted .*BALLAST_PROMETHEUS_CA_FILE"):
            await client.query("vector(7)", time.time(), list)


async def test_plain_http_where_there_is_tls(behind_tls: str) -> None:
    async with PrometheusClient(behind_tls.replace("https://", "http://")) as client:
        with pytest.raises(PrometheusRefused, match="answered 400"):
            await client.query("vector(7)", time.time(), list)


async def test_a_path_that_is_wrong(behind_tls: str, folder: Path) -> None:
    async with PrometheusClient(behind_tls.replace("/prom", "/other"), ca_file=folder / "ca.crt") as client:
        with pytest.raises(PrometheusRefused, match="correct the path of BALLAST_PROMETHEUS_URL"):
            await client.query("vector(7)", time.time(), list)


async def test_a_query_that_is_none(scraped: Scraped) -> None:
    async with PrometheusClient(scraped.url) as client:
        with pytest.raises(PrometheusRefused, match=r"400 .bad_data: .*parse error"):
            await client.query("sum(", time.time(), list)


async def test_a_proxy_that_wants_a_token(scraped: Scraped, tmp_path: Path) -> None:
    async def forward(request: web.Request) -> web.Response:
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            return web.Response(status=401, text="who are you?")
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{scraped.url}{request.path}", data=await request.post()) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read(), content_type=answer.content_type)

    app = web.Application()
    app.router.add_post("/{path:.*}", forward)
    token = tmp_path / "token"
    token.write_text("wrong")
    async with TestServer(app) as server, PrometheusClient(str(server.make_url("/")), token) as client:
        with pytest.raises(PrometheusRefused, match=r"401 \(who are you\?\): the token in"):
            await client.query("vector(1)", time.time(), list)
        token.write_text(TOKEN)
        assert (await client.query("vector(1)", time.time(), list)).value == [({}, 1.0)]
