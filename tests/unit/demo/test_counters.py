"""Joules between two moments."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.demo import counters
from tests.demo.errors import DemoError

SAMPLES = [(0.0, 1000.0), (2.0, 1200.0), (4.0, 1600.0)]


def test_between_samples_a_counter_is_linear() -> None:
    assert counters.increase(SAMPLES, 1.0, 3.0) == 300.0


def test_samples_at_the_very_moments_will_do() -> None:
    assert counters.increase(SAMPLES, 0.0, 4.0) == 600.0


@pytest.mark.parametrize(("start", "end"), [(-0.1, 3.0), (1.0, 4.1)])
def test_without_samples_on_either_side_there_is_no_answer(start: float, end: float) -> None:
    assert counters.increase(SAMPLES, start, end) is None


def test_no_samples_at_all() -> None:
    assert counters.increase([], 0.0, 1.0) is None


class _Prometheus(BaseHTTPRequestHandler):
    asked: list[dict[str, list[str]]]
    told: object

    def do_GET(self) -> None:
        self.asked.append(parse_qs(urlsplit(self.path).query))
        body = json.dumps(self.told).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing of it is printed."""


@pytest.fixture
def prometheus() -> Iterator[tuple[str, type[_Prometheus]]]:
    handler = type("Prometheus", (_Prometheus,), {"asked": [], "told": {}})
    with HTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/", handler
        server.shutdown()
        thread.join()


def test_a_counter_goes_on_when_its_agent_was_started_again(prometheus: tuple[str, type[_Prometheus]]) -> None:
    url, handler = prometheus
    series = [{"metric": {"pod": "b"}, "values": [[104, "14"]]}, {"metric": {"pod": "a"}, "values": [[98, "8"]]}]
    handler.told = {"status": "success", "data": {"resultType": "matrix", "result": series}}
    assert counters.joules(url, "GPU-1", 100.0, 102.0) == 2.0
    [asked] = handler.asked
    assert asked["query"] == ['ballast_node_gpu_energy_joules_total{uuid="GPU-1"}[22s]']
    assert asked["time"] == ["112.000"]


def test_an_answer_that_is_none(prometheus: tuple[str, type[_Prometheus]]) -> None:
    url, handler = prometheus
    handler.told = {"status": "error"}
    with pytest.raises(DemoError, match="does not answer"):
        counters.joules(url, "GPU-1", 0.0, 1.0)


def test_an_address_that_is_none() -> None:
    with pytest.raises(DemoError, match="--prometheus http"):
        counters.joules("host:9090", "GPU-1", 0.0, 1.0)
