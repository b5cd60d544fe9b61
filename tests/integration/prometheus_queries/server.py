"""A Prometheus of a test's own, and targets whose text the test chooses. Nothing else is needed: no cluster."""

from __future__ import annotations

import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any, Self

import yaml

from tests.cluster.binaries import resolve
from tests.cluster.catalogue import CONTROL_PLANE
from tests.e2e.operator_process import free_port

START_TIMEOUT_SECONDS = 60.0
STOP_TIMEOUT_SECONDS = 20.0
LOG_TAIL_CHARACTERS = 4000

_UNVERIFIED = ssl._create_unverified_context()  # noqa: S323 - to see whether it is ready; whom to trust is for the tests


class PrometheusServer:
    """One run of the real program; a context manager.

    Args:
        folder: for its configuration, data and log.
        scrape_configs: as in its configuration file.
        interval: how often it scrapes.
        flags: further ones.
        web_config: TLS and the like, as in its web configuration file.
        prefix: below which it serves.
    """

    def __init__(
        self,
        folder: Path,
        scrape_configs: Sequence[Mapping[str, Any]] = (),
        interval: str = "1s",
        flags: Sequence[str] = (),
        web_config: Mapping[str, Any] | None = None,
        prefix: str = "",
    ) -> None:
        self.port = free_port()
        self._log = folder / "prometheus.log"
        config, web = folder / "prometheus.yaml", folder / "web.yaml"
        config.write_text(
            yaml.safe_dump(
                {
                    "global": {"scrape_interval": interval, "scrape_timeout": interval},
                    "scrape_configs": list(scrape_configs),
                }
            )
        )
        web.write_text(yaml.safe_dump(dict(web_config or {})))
        self.url = f"{'https' if web_config else 'http'}://127.0.0.1:{self.port}{prefix}"
        program = next(each for each in CONTROL_PLANE if each.name == "prometheus")
        self._command = [
            str(resolve(program).path),
            f"--config.file={config}",
            f"--web.config.file={web}",
            f"--storage.tsdb.path={folder / 'data'}",
            f"--web.listen-address=127.0.0.1:{self.port}",
            f"--web.route-prefix={prefix or '/'}",
            "--log.level=warn",
            *flags,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """Of the process.

        Raises:
            RuntimeError: it does not run.
        """
        if self._process is None:
            raise RuntimeError("it does not run")
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def start(self) -> None:
        """Start it; return once it is ready.

        Raises:
            RuntimeError: it does not come up.
        """
        with self._log.open("ab") as log:
            process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._process = process
        deadline = time.monotonic() + START_TIMEOUT_SECONDS
        while not self._listens():
            if process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise RuntimeError(f"prometheus did not start: {self._log.read_text()[-LOG_TAIL_CHARACTERS:]}")
            time.sleep(0.05)

    def stop(self) -> None:
        """Stop it, as a power cut would if it does not obey."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(STOP_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process = None

    def _listens(self) -> bool:
        try:
            urllib.request.urlopen(f"{self.url}/-/ready", timeout=5, context=_UNVERIFIED).close()  # noqa: S310
        except OSError:
            return False
        return True


class Target:
    """Something that can be scraped: a local HTTP server; a context manager.

    Args:
        render: the text of a path; None for "not now" (500).
    """

    def __init__(self, render: Callable[[str], str | None]) -> None:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                text = render(self.path)
                body = (text or "").encode()
                self.send_response(500 if text is None else 200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's word
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.address = f"127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
