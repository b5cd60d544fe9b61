"""What the exporter beside a trainer is told: everything, in order, to the last report; and training never waits."""

from __future__ import annotations

import json
import math
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from frugal import exporter_sink
from frugal.exporter_sink import URL_VARIABLE, exporter_sinks
from frugal.progress import Progress

from .builders import config, train


class Exporter(ThreadingHTTPServer):
    """Keeps what it is sent.

    Attributes:
        statuses: of the first answers; then 200.
        may_answer: it waits for this.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses: list[int] = []
        self.requests: list[tuple[str, list[dict[str, Any]]]] = []
        self.may_answer = threading.Event()
        self.may_answer.set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1/progress"

    @property
    def reports(self) -> list[dict[str, Any]]:
        return [report for _, reports in self.requests for report in reports]


class _Handler(BaseHTTPRequestHandler):
    server: Exporter

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.may_answer.wait(60)
        self.server.requests.append((self.headers["Idempotency-Key"], json.loads(body)))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        pass


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> Iterator[Exporter]:
    monkeypatch.setattr(exporter_sink, "SEND_SECONDS", 0.01)
    with Exporter() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def progress(step: int, **changes: Any) -> Progress:
    values: dict[str, Any] = {
        "step": step,
        "total_steps": 100,
        "epoch": 1,
        "epochs": 5,
        "samples": step * 8,
        "loss": 0.5,
        "accuracy": 0.75,
        "samples_per_second": 10.0,
        "lr": 0.125,
        "seconds": 1.0,
        "seconds_left": 9.0,
    }
    return Progress(**(values | changes))


def test_a_training_is_told_to_its_end(exporter: Exporter) -> None:
    with exporter_sinks({URL_VARIABLE: exporter.url}) as sinks:
        result = train(config(report_every=5), sinks=sinks)
    assert [report["step"] for report in exporter.reports] == [5, 7, 10, 14, 15, 20, 21]
    last = exporter.reports[-1]
    assert (last["totalSteps"], last["epoch"], last["samples"], last["secondsLeft"]) == (21, 3, result.samples, 0)
    assert last["metrics"]["val_loss"] == result.val_loss
    assert last["metrics"].keys() == {"loss", "accuracy", "val_loss", "val_accuracy", "lr"}
    assert exporter.reports[0]["metrics"].keys() == {"loss", "accuracy", "lr"}
    assert last["cpuSeconds"] > 0


def test_outside_a_pod_there_is_no_sink() -> None:
    with exporter_sinks({}) as sinks:
        assert sinks == []


@pytest.mark.parametrize("address", ["https://h:1/", "9447", "http://h:port/"])
def test_an_address_that_is_none_is_said(address: str, caplog: pytest.LogCaptureFixture) -> None:
    with exporter_sinks({URL_VARIABLE: address}) as sinks:
        assert sinks == []
    assert "nothing is reported there" in caplog.text


def test_a_loss_that_has_diverged(exporter: Exporter) -> None:
    with exporter_sinks({URL_VARIABLE: exporter.url}) as (sink,):
        sink.report(progress(1, loss=math.nan, accuracy=None, val_loss=math.inf))
    assert exporter.reports[0]["metrics"] == {"loss": "NaN", "val_loss": "Infinity", "lr": 0.125}


def test_what_was_not_taken_is_sent_again_under_the_same_key(
    exporter: Exporter, caplog: pytest.LogCaptureFixture
) -> None:
    exporter.statuses = [503, 503]
    with exporter_sinks({URL_VARIABLE: exporter.url}) as (sink,):
        sink.report(progress(1))
    assert [report["step"] for report in exporter.reports] == [1, 1, 1]
    assert len({key for key, _ in exporter.requests}) == 1
    assert len(caplog.records) == 1


def test_what_is_refused_is_left_out(exporter: Exporter, caplog: pytest.LogCaptureFixture) -> None:
    exporter.statuses = [400]
    with exporter_sinks({URL_VARIABLE: exporter.url}) as (sink,):
        sink.report(progress(1))
    assert len(exporter.requests) == 1
    assert "does not take" in caplog.text


def test_training_does_not_wait_and_what_cannot_be_kept_is_counted(
    exporter: Exporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporter_sink, "MOST_WAITING", 10)
    exporter.may_answer.clear()
    with exporter_sinks({URL_VARIABLE: exporter.url}) as (sink,):
        for step in range(100):
            sink.report(progress(step))
        exporter.may_answer.set()
    reports = exporter.reports
    missed = sum(report.get("missed", {}).get("loss", 0) for report in reports)
    assert [report["step"] for report in reports[-10:]] == list(range(90, 100))
    assert len(reports) + missed == 100


def test_nobody_listens_and_the_training_ends_all_the_same(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exporter_sink, "CLOSE_SECONDS", 0.2)
    monkeypatch.setattr(exporter_sink, "SEND_SECONDS", 0.01)
    with exporter_sinks({URL_VARIABLE: "http://127.0.0.1:1/v1/progress"}) as sinks:
        assert train(config(), sinks=sinks).outcome == "completed"
    assert len([record for record in caplog.records if "does not take" in record.getMessage()]) == 1


def test_the_sink_closes_when_the_training_fails(exporter: Exporter) -> None:
    def fail() -> None:
        with exporter_sinks({URL_VARIABLE: exporter.url}) as (sink,):
            sink.report(progress(7))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [report["step"] for report in exporter.reports] == [7]
