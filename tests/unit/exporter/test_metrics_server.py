"""/metrics and /healthz are served on IPv4 and IPv6, and nobody holds them up."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator

import pytest

from ballast.errors import UserError
from ballast.exporter.metrics_server import MetricsServer
from ballast.exporter.serving import MOST_AT_ONCE


class State:
    """Whether the process does what it should."""

    is_well = True


@pytest.fixture
def server() -> Iterator[MetricsServer]:
    with MetricsServer(0, lambda: b"x 1\n", lambda: State.is_well) as server:
        yield server


def get(server: MetricsServer, path: str, host: str = "127.0.0.1", method: str = "GET") -> tuple[int, bytes, str]:
    connection = http.client.HTTPConnection(host, server.port, timeout=10)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.read(), response.headers["Content-Type"]
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/metrics", "/metrics?name[]=x"])
def test_metrics_are_told_as_prometheus_reads_them(server: MetricsServer, path: str) -> None:
    assert get(server, path) == (200, b"x 1\n", "text/plain; version=0.0.4; charset=utf-8")


def test_they_are_told_on_ipv6_too(server: MetricsServer) -> None:
    try:
        assert get(server, "/metrics", "::1")[0] == 200
    except OSError:
        try:
            socket.create_server(("::1", 0), family=socket.AF_INET6).close()
        except OSError:
            pytest.skip("no IPv6 here")
        raise


def test_where_there_is_no_ipv6_it_is_served_on_ipv4(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "has_ipv6", False)
    with MetricsServer(0, lambda: b"x 1\n") as server:
        assert get(server, "/metrics")[0] == 200


def test_health_is_told(server: MetricsServer, monkeypatch: pytest.MonkeyPatch) -> None:
    assert get(server, "/healthz")[:2] == (200, b"ok\n")
    monkeypatch.setattr(State, "is_well", False)
    assert get(server, "/healthz")[0] == 503


def test_there_is_nothing_else(server: MetricsServer) -> None:
    assert get(server, "/")[0] == 404
    assert get(server, "/metrics", method="POST")[0] == 501


def test_a_few_that_say_nothing_hold_no_scrape_up(server: MetricsServer) -> None:
    silent = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(MOST_AT_ONCE - 1)]
    try:
        assert get(server, "/metrics")[0] == 200
    finally:
        for each in silent:
            each.close()


def test_a_port_that_is_taken_is_the_users_to_free(server: MetricsServer) -> None:
    with pytest.raises(UserError, match=f"cannot listen on port {server.port}: .*BALLAST_METRICS_PORT"):
        MetricsServer(server.port, lambda: b"")
