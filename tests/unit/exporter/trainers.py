"""A trainer's requests, and a clock that goes on only when it is told to."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import Any

from ballast.exporter.progress import Progress
from ballast.exporter.progress_server import ProgressServer


class Clock:
    """Seconds since the epoch."""

    def __init__(self, now: float = 1_800_000_000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now

    def pass_(self, seconds: float) -> float:
        """Go on, and return what time it is."""
        self.now += seconds
        return self.now


class Answer:
    """What the server said."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def ask(
    server: ProgressServer, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
) -> Answer:
    """Send one request."""
    connection = HTTPConnection("127.0.0.1", server.port, timeout=30)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return Answer(answer.status, dict(answer.getheaders()), answer.read())
    finally:
        connection.close()


def restarted(progress: Progress, metric: str | None) -> Progress:
    """Return what a new process of the exporter knows after the state file."""
    after = Progress(metric)
    after.restore(json.loads(json.dumps(progress.to_json(), allow_nan=False)))
    return after
