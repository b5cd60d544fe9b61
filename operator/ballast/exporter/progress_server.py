"""Takes the trainer's progress on localhost: JSON of our own for any language, and Kubeflow Trainer's protocol.

`POST /v1/progress` and `POST /v1/kubeflow` report, `GET /v1/progress` tells what is known. What must hold: a report is
answered with 200 only when it was taken, as a whole, and what it brought is saved; an error is problem JSON (RFC 9457)
that names field, value and remedy. Nobody holds it up: bodies, threads and the time for one request are bounded.
"""

from __future__ import annotations

import io
import json
import logging
import socket
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final, Self

from ballast.api.exporter import KUBEFLOW_PATH, PROGRESS_PATH, PROGRESS_PORT
from ballast.api.finalreading import to_plain
from ballast.errors import UserError
from ballast.exporter.kubeflow import parse_status
from ballast.exporter.progress import Progress
from ballast.exporter.report import ReportRefused, parse_reports
from ballast.exporter.serving import REQUEST_SECONDS, BoundedServer, ServingThread

logger = logging.getLogger(__name__)

HOST: Final = "127.0.0.1"
MAX_BODY_BYTES: Final = 128 * 1024
KEY_HEADER: Final = "Idempotency-Key"
"""Of reports: the same again under the same key are not counted again. So many characters of it count:"""
MOST_KEY: Final = 128

_ALLOWED: Final = {PROGRESS_PATH: ("GET", "HEAD", "POST"), KUBEFLOW_PATH: ("POST",)}


class ProgressServer(ServingThread):
    """Listens from the moment it is made, and answers between `start` and `stop`.

    Args:
        progress: who is told.
        port: on localhost; 0 for any.
        save: called after a report that brought evaluations, before it is answered.

    Raises:
        UserError: the port is taken.
    """

    def __init__(self, progress: Progress, port: int = PROGRESS_PORT, save: Callable[[], None] = lambda: None) -> None:
        try:
            server = _Server(port, progress, save)
        except OSError as error:
            raise UserError(
                f"cannot listen on {HOST}:{port}: {error.strerror or error}; no other container of the pod may use"
                " this port"
            ) from error
        super().__init__(server, "progress-server")


class _Server(BoundedServer):
    def __init__(self, port: int, progress: Progress, save: Callable[[], None]) -> None:
        self.progress = progress
        self.save = save
        super().__init__((HOST, port), _Handler)


class _Problem(Exception):
    def __init__(self, status: HTTPStatus, detail: str, headers: Mapping[str, str] | None = None) -> None:
        self.status = status
        self.headers = headers or {}
        self.content: dict[str, Any] = {"title": status.phrase, "status": status.value, "detail": detail}
        super().__init__(detail)

    @classmethod
    def refused(cls, refused: ReportRefused, status: HTTPStatus = HTTPStatus.BAD_REQUEST) -> Self:
        """Return the answer to a report that is refused."""
        problem = cls(status, str(refused))
        problem.content |= {"field": refused.field, "value": refused.value, "remedy": refused.remedy}
        return problem


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    server_version = "ballast-exporter"
    sys_version = ""

    def setup(self) -> None:
        self.connection = self.request
        self.rfile = io.BufferedReader(_Within(self.connection, REQUEST_SECONDS))
        self.wfile = self.connection.makefile("wb")

    def _dispatch(self) -> None:
        try:
            content = self._answer_to(self.path.partition("?")[0])
        except ReportRefused as refused:
            self._send_problem(_Problem.refused(refused))
        except _Problem as problem:
            self._send_problem(problem)
        else:
            self._send(HTTPStatus.OK, content, "application/json")

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _dispatch  # noqa: N815

    def _answer_to(self, path: str) -> Mapping[str, Any]:
        body = self._body()
        methods = _ALLOWED.get(path)
        if methods is None:
            raise _Problem(HTTPStatus.NOT_FOUND, f"there is nothing at {path[:100]}; there are {', '.join(_ALLOWED)}")
        if self.command not in methods:
            allow = ", ".join(methods)
            detail = f"{self.command} does nothing at {path}: use {allow}"
            raise _Problem(HTTPStatus.METHOD_NOT_ALLOWED, detail, {"Allow": allow})
        progress = self.server.progress
        if self.command != "POST":
            return _known(progress)
        if path == PROGRESS_PATH:
            reports, key = parse_reports(body), (self.headers.get(KEY_HEADER) or "")[:MOST_KEY] or None
        else:
            report, key = parse_status(body, progress.metric)
            reports = (report,)
        ignored = progress.report(*reports, key=key, source=path)
        if any(progress.metric in (*report.metrics, *report.missed) for report in reports):
            self.server.save()
        return {"metric": progress.metric, **({"ignored": ignored} if ignored else {})}

    def _body(self) -> bytes:
        field = "Content-Length"
        text = self.headers.get(field)
        if text is None:
            if self.command != "POST":
                return b""
            refused = ReportRefused(field, text, "send the number of bytes of the body, and no chunks")
            raise _Problem.refused(refused, HTTPStatus.LENGTH_REQUIRED)
        if not (text.isascii() and text.isdigit() and len(text) < 20):
            raise ReportRefused(field, text, "send the number of bytes of the body")
        length = int(text)
        if length > MAX_BODY_BYTES:
            # What was not read would break the connection before the answer is read.
            self._skip(min(length, 16 * MAX_BODY_BYTES))
            refused = ReportRefused(field, length, f"send at most {MAX_BODY_BYTES} bytes, fewer metrics for instance")
            raise _Problem.refused(refused, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        body = self.rfile.read(length)
        if len(body) < length:
            raise ReportRefused(field, length, f"send all of the body: it ended after {len(body)} bytes")
        return body

    def _skip(self, length: int) -> None:
        while length > 0:
            skipped = len(self.rfile.read(min(length, MAX_BODY_BYTES)))
            if not skipped:
                return
            length -= skipped

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer what is no HTTP that is understood."""
        status = HTTPStatus(code)
        self._send_problem(_Problem(status, f"{message or status.phrase}: send a plain HTTP/1.1 GET or POST"))

    def _send_problem(self, problem: _Problem) -> None:
        self._send(problem.status, problem.content, "application/problem+json", problem.headers)

    def _send(
        self, status: HTTPStatus, content: Mapping[str, Any], kind: str, headers: Mapping[str, str] | None = None
    ) -> None:
        text = json.dumps(content, allow_nan=False).encode() + b"\n"
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Length": str(len(text)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(text)
        self.wfile.flush()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name of the base class
        """Requests are not logged."""


class _Within(io.RawIOBase):
    """Reads a socket, until a time is over."""

    def __init__(self, connection: socket.socket, seconds: float) -> None:
        self._connection = connection
        self._until = time.monotonic() + seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError("the request took too long")
        self._connection.settimeout(left)
        return self._connection.recv_into(buffer)


def _known(progress: Progress) -> Mapping[str, Any]:
    """Return what is known, for people who ask; in the names of reports where there are such."""
    training = progress.training()
    metrics = {name: to_plain(value) for name, value in progress.metrics().items()}
    if training is None:
        return {"reportedAt": None}
    told = {
        "step": training.step,
        "totalSteps": training.total_steps,
        "epoch": training.epoch,
        "samples": training.samples,
        "percent": training.percent,
        "stepsPerSecond": training.steps_per_second,
        "samplesPerSecond": training.samples_per_second,
        "secondsLeft": training.seconds_left,
        "cpuSeconds": progress.cpu_seconds,
        "best": training.best,
        "reportedAt": training.reported_at,
    }
    evaluations = [{"number": each.number, "value": to_plain(each.value), "step": each.step} for each in training.ring]
    return {
        **{name: value for name, value in told.items() if value is not None},
        "metrics": metrics,
        **({"evaluations": {"count": training.evaluations, "newest": evaluations}} if progress.metric else {}),
    }
