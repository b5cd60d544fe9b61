"""What both of the exporter's servers have in common: a thread of their own, and a bound on what is asked at once.

The standard library's, which costs a pod no memory beyond what is imported anyway. What must hold: whoever asks slowly,
or much, holds up nobody for long: so many requests are answered at once, each in a bounded time, and the others wait.
"""

from __future__ import annotations

import logging
import threading
from socketserver import TCPServer
from typing import Any, Final, Self

logger = logging.getLogger(__name__)

MOST_AT_ONCE: Final = 4
REQUEST_SECONDS: Final = 5.0
"""In which a request must have come as a whole."""
SHUTDOWN_POLL_SECONDS: Final = 0.5
"""How soon a server notices that it is to end."""


class BoundedServer(TCPServer):
    """Answers each request in a thread of its own, when it is its turn."""

    allow_reuse_address = True
    request_queue_size = 64

    def __init__(self, *arguments: Any) -> None:
        self._turns = threading.Semaphore(MOST_AT_ONCE)
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer, or hang up if there is no turn in time."""
        if not self._turns.acquire(timeout=2 * REQUEST_SECONDS):
            self.shutdown_request(request)
            return
        threading.Thread(target=self._answer, args=(request, client_address), daemon=True).start()

    def _answer(self, request: Any, client_address: Any) -> None:
        try:
            self.finish_request(request, client_address)
        except OSError:
            pass  # whoever asked is gone
        except Exception:
            logger.exception("a request could not be answered", extra={"port": self.server_address[1]})
        finally:
            self.shutdown_request(request)
            self._turns.release()


class ServingThread:
    """Answers from `start` until `stop`; also a context manager.

    Args:
        server: that listens already.
        name: of the thread.
    """

    def __init__(self, server: TCPServer, name: str) -> None:
        self._server = server
        self._thread = threading.Thread(
            target=server.serve_forever, args=(SHUTDOWN_POLL_SECONDS,), name=name, daemon=True
        )

    @property
    def port(self) -> int:
        """On which it listens."""
        return int(self._server.server_address[1])

    def start(self) -> Self:
        """Begin to answer."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """End; what is being answered may still be finished."""
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.server_close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
