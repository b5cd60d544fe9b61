"""Asks the node's agent what this pod uses: one kept-alive TLS connection, the pod's own token, the operators' CA.

What must hold: the agent's certificate is checked for this node's name before the token is sent, whatever address the
node has; token and authorities are read anew once their files change; one question takes no longer than its time-out;
the token stands in no message.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import ssl
from collections.abc import Callable
from http import HTTPStatus
from pathlib import Path
from typing import Final

from ballast.api.agentserving import CA_FILE, READINGS_PATH, TOKEN_FILE, dns_name
from ballast.clock import steady_seconds
from ballast.errors import RetryableError
from ballast.exporter.readings import Readings, parse

TIMEOUT_SECONDS: Final = 1.0
"""Of one question, the connection included: the agent is on the same node."""
MOST_BYTES: Final = 256 << 10
"""Of an answer; that of a pod with 64 GPUs has 20 KiB."""
_DETAIL: Final = 300


class AgentError(RetryableError):
    """The agent told no readings."""

    kind = "error"


class NoAgent(AgentError):
    """Nobody answers, or it is nobody whom we trust."""

    kind = "away"


class NoAccess(AgentError):
    """The token, or whom to trust, cannot be read."""

    kind = "access"


class NotKnownYet(AgentError):
    """The agent has no readings of this pod yet."""

    kind = "unknown"


class Refused(AgentError):
    """The agent refused, or could not answer.

    Attributes:
        status: HTTP's.
        retry_seconds: how long it wants to be left alone; 0 if it did not say.
    """

    def __init__(self, status: int, detail: str, retry_seconds: float = 0.0) -> None:
        self.status = status
        self.retry_seconds = retry_seconds
        self.kind = f"refused {status}"
        super().__init__(f"the agent answers {status}: {detail}")


class AgentClient:
    """Asks one agent.

    Args:
        host: the address of the node.
        port: the agent's there.
        node: the node's name, for which its certificate must be.
        folder: with `TOKEN_FILE` and `CA_FILE`.
        clock: seconds that only pass.
    """

    def __init__(
        self, host: str, port: int, node: str, folder: Path, clock: Callable[[], float] = steady_seconds
    ) -> None:
        self._host, self._port, self._name = host, port, dns_name(node)
        self._clock = clock
        self._token = _Watched(folder / TOKEN_FILE)
        self._authorities = _Watched(folder / CA_FILE)
        self._context: ssl.SSLContext | None = None
        self._connection: _Connection | None = None

    def ask(self, timeout_seconds: float = TIMEOUT_SECONDS) -> Readings:
        """Return what the pod has used.

        Raises:
            AgentError: it was not told; by its class, why.
            BadReadings: what was told makes no sense.
        """
        deadline = self._clock() + timeout_seconds
        self._trust()
        token, _ = self._token.read()
        if self._connection is not None:
            try:
                return self._ask(self._connection, token.strip(), deadline)
            except (OSError, http.client.HTTPException):
                self.close()  # kept alive for too long, or of an agent that is gone: its successor may be there
        assert self._context is not None  # noqa: S101 - _trust made it
        self._connection = _Connection(self._host, self._port, self._name, self._context)
        try:
            return self._ask(self._connection, token.strip(), deadline)
        except (OSError, http.client.HTTPException) as error:
            self.close()
            raise NoAgent(self._why(error)) from error

    def close(self) -> None:
        """Hang up."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _trust(self) -> None:
        """Make ready to check certificates; once the authorities have changed, the agent is asked for its own anew."""
        authorities, changed = self._authorities.read()
        if self._context is not None and not changed:
            return
        self.close()
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and name
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            context.load_verify_locations(cadata=authorities)
        except (ssl.SSLError, ValueError) as error:
            self._authorities.forget()
            raise NoAccess(f"{self._authorities.path} holds no certificates: {error}") from error
        self._context = context

    def _ask(self, connection: _Connection, token: str, deadline: float) -> Readings:
        # By the deadline for all steps together: connecting, the handshake, asking and the answer.
        connection.limit(lambda: max(deadline - self._clock(), 0.001))
        if connection.sock is None:
            connection.connect()
        connection.request("GET", READINGS_PATH, headers={"Authorization": f"Bearer {token}"})
        connection.limit_socket()
        response = connection.getresponse()
        body = response.read(MOST_BYTES)
        if not response.isclosed():
            self.close()  # more than we take
        if response.will_close:
            self.close()
        if response.status == HTTPStatus.OK:
            return parse(body)
        detail = _detail(body)
        if response.status == HTTPStatus.NOT_FOUND:
            raise NotKnownYet(f"the agent answers 404: {detail}")
        raise Refused(response.status, detail, _retry_seconds(response.getheader("Retry-After")))

    def _why(self, error: Exception) -> str:
        where = f"the agent at {self._host} port {self._port}"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"{where} is not trusted as {self._name}: {error.verify_message}"
        return f"{where} does not answer: {type(error).__name__}: {error}"


class _Connection(http.client.HTTPSConnection):
    """Goes to an address, and checks another name than that."""

    def __init__(self, host: str, port: int, name: str, context: ssl.SSLContext) -> None:
        super().__init__(host, port, context=context)
        self._name = name
        self._tls = context
        self._remaining: Callable[[], float] = lambda: TIMEOUT_SECONDS

    def limit(self, remaining_seconds: Callable[[], float]) -> None:
        """Have each step from now on end in time."""
        self._remaining = remaining_seconds
        self.limit_socket()

    def limit_socket(self) -> None:
        if self.sock is not None:
            self.sock.settimeout(self._remaining())

    def connect(self) -> None:
        raw = socket.create_connection((self.host, self.port), timeout=self._remaining())
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            raw.settimeout(self._remaining())
            self.sock = self._tls.wrap_socket(raw, server_hostname=self._name)
        except BaseException:
            raw.close()
            raise
        self.limit_socket()


class _Watched:
    """A file that the kubelet replaces now and then."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._text = ""

    def read(self) -> tuple[str, bool]:
        """Return what it holds, and whether it is another text than the last time.

        Raises:
            NoAccess: it cannot be read.
        """
        try:
            found = os.stat(self.path)  # noqa: PTH116 - asked at each question
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen == self._seen:
                return self._text, False
            text = self.path.read_text(encoding="ascii")
        except (OSError, ValueError) as error:
            raise NoAccess(f"cannot read {self.path}, which the pod is given for its agent: {error}") from error
        changed, self._seen, self._text = text != self._text, seen, text
        return text, changed

    def forget(self) -> None:
        """Take the same text for a new one next time."""
        self._seen, self._text = None, ""


def _detail(body: bytes) -> str:
    """Return what problem JSON says."""
    try:
        return str(json.loads(body)["detail"])[:_DETAIL]
    except (ValueError, KeyError, TypeError, RecursionError):
        return "it does not say why"


def _retry_seconds(header: str | None) -> float:
    try:
        return min(max(float(header or 0), 0.0), 3600.0)
    except ValueError:
        return 0.0
