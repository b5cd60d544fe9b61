"""An API server that has one answer for each path, and a kubeconfig for it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import yaml

Answer = tuple[int, str]


@dataclass
class ApiServer:
    """What it was asked for, and what it answers; everything else is not there.

    Attributes:
        url: Where it listens.
        answers: Status and body by path.
        asked: Paths, in order.
    """

    url: str
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def has(self, path: str, answer: Mapping[str, Any]) -> None:
        """Make an object be there."""
        self.answers[path] = (200, json.dumps(answer))

    def refuses(self, path: str, status: int, reason: str, message: str) -> None:
        """Answer a path as the API server refuses."""
        self.answers[path] = (status, refusal(status, reason, message))


def refusal(status: int, reason: str, message: str) -> str:
    """Return the body of a refusal."""
    return json.dumps({"kind": "Status", "status": "Failure", "code": status, "reason": reason, "message": message})


@contextmanager
def serving() -> Iterator[ApiServer]:
    """Serve until the context is left."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            server.asked.append(path)
            status, body = server.answers.get(path, (404, refusal(404, "NotFound", f"{path} not found")))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as the base class has it
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        server = ApiServer(f"http://127.0.0.1:{listening.server_address[1]}")
        thread = Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            listening.shutdown()
            thread.join()


def kubeconfig(folder: Path, url: str) -> Path:
    """Write a kubeconfig with two contexts: `here`, the current one, in namespace `team`, and `plain` without one."""
    file = folder / "kubeconfig"
    here = {"cluster": "c", "user": "u"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
        "contexts": [{"name": "here", "context": {**here, "namespace": "team"}}, {"name": "plain", "context": here}],
        "current-context": "here",
    }
    file.write_text(yaml.safe_dump(content))
    return file
