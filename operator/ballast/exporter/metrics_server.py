"""Serves /metrics and /healthz on all addresses of the pod, IPv4 and IPv6.

What must hold: whoever asks slowly, or much, holds up neither the poll loop nor, for long, another scrape: requests,
their time and their number are bounded.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, Final

from ballast.api.exporter import METRICS_PATH, METRICS_PORT_VARIABLE
from ballast.errors import UserError
from ballast.exporter.metrics import CONTENT_TYPE
from ballast.exporter.serving import REQUEST_SECONDS, BoundedServer, ServingThread

logger = logging.getLogger(__name__)

HEALTH_PATH: Final = "/healthz"


class MetricsServer(ServingThread):
    """Listens from the moment it is made, and answers between `start` and `stop`.

    Args:
        port: 0 for any.
        metrics: returns what a scrape is told.
        is_well: whether this process does what it should.

    Raises:
        UserError: the port is taken.
    """

    def __init__(self, port: int, metrics: Callable[[], bytes], is_well: Callable[[], bool] = lambda: True) -> None:
        try:
            server = _listening(port, metrics, is_well)
        except OSError as error:
            raise UserError(
                f"cannot listen on port {port}: {error.strerror or error}; no other container of the pod may use it, or"
                f" set {METRICS_PORT_VARIABLE}"
            ) from error
        super().__init__(server, "metrics-server")


def _listening(port: int, metrics: Callable[[], bytes], is_well: Callable[[], bool]) -> _Server:
    """Return a server for both kinds of addresses, or for IPv4 alone where the kernel or the pod has no IPv6."""
    if socket.has_ipv6:
        try:
            return _Server(socket.AF_INET6, ("::", port), metrics, is_well)
        except OSError as error:
            logger.debug("there is no IPv6", extra={"error": str(error)})
    return _Server(socket.AF_INET, ("0.0.0.0", port), metrics, is_well)  # noqa: S104 - Prometheus comes from elsewhere


class _Server(BoundedServer):
    def __init__(
        self,
        family: socket.AddressFamily,
        address: tuple[str, int],
        metrics: Callable[[], bytes],
        is_well: Callable[[], bool],
    ) -> None:
        self.address_family = family
        self.metrics = metrics
        self.is_well = is_well
        super().__init__(address, _Handler)

    def server_bind(self) -> None:
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    timeout = REQUEST_SECONDS

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == METRICS_PATH:
            self._tell(HTTPStatus.OK, self.server.metrics(), CONTENT_TYPE)
        elif path == HEALTH_PATH:
            is_well = self.server.is_well()
            status = HTTPStatus.OK if is_well else HTTPStatus.SERVICE_UNAVAILABLE
            self._tell(status, b"ok\n" if is_well else b"the poll loop hangs: see the log\n")
        else:
            self._tell(HTTPStatus.NOT_FOUND, f"there are {METRICS_PATH} and {HEALTH_PATH}\n".encode())

    def version_string(self) -> str:
        return "ballast"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
        pass

    def _tell(self, status: HTTPStatus, body: bytes, content_type: str = "text/plain; charset=utf-8") -> None:
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
