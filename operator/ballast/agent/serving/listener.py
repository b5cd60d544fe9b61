"""A listening socket with a most of connections: what one pod opens and never closes must not cost all others.

Refused is before the TLS handshake, which costs the most, by closing at once; whoever is refused finds the agent busy
and asks again later. What must hold: a connection counts from when it is taken until its socket is closed, whoever
closes it.
"""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable
from typing import Any, Final

from ballast.errors import UserError

MOST: Final = 512
"""Connections at a time; a node has a hundred pods or so, and each keeps one."""
MOST_OF_ADDRESS: Final = 128
"""Of these, from one address: a pod has its own, but for networks that show the node's for all of them."""


class _Connection(socket.socket):
    """A connection that says when it is over."""

    __slots__ = ("on_close",)

    on_close: Callable[[], None]

    def close(self) -> None:
        if self.fileno() >= 0:
            super().close()
            self.on_close()


class Listener(socket.socket):
    """Takes connections, and closes at once what is too many.

    Args:
        host: the address to listen on.
        port: the port; 0 for any.
        most: connections at a time.
        most_of_address: of these, from one address.

    Raises:
        OSError: the address cannot be listened on.
    """

    def __init__(self, host: str, port: int, most: int = MOST, most_of_address: int = MOST_OF_ADDRESS) -> None:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        super().__init__(family, kind, protocol)
        self._most, self._most_of_address = most, most_of_address
        self._open: Counter[str] = Counter()
        try:
            self.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                self.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            self.bind(address)
        except BaseException:
            self.close()
            raise

    @property
    def connections(self) -> int:
        """How many are open."""
        return self._open.total()

    def accept(self) -> tuple[socket.socket, Any]:
        """Return the next connection that is not too many."""
        while True:
            taken, address = super().accept()
            connection = _Connection(taken.family, taken.type, taken.proto, fileno=taken.detach())
            host = address[0]
            self._open[host] += 1
            connection.on_close = lambda host=host: self._forget(host)  # type: ignore[misc]
            if self.connections <= self._most and self._open[host] <= self._most_of_address:
                return connection, address
            connection.close()

    def _forget(self, host: str) -> None:
        self._open[host] -= 1
        if not self._open[host]:
            del self._open[host]


def listen(host: str, port: int, remedy: str) -> Listener:
    """Return a socket to serve on.

    Raises:
        UserError: the address cannot be listened on.
    """
    try:
        return Listener(host, port)
    except OSError as error:
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror or error}; {remedy}") from error
