"""The request to end, as the main thread waits for it between two polls.

What must hold: a signal that comes at any moment ends the wait at once, or the next one before it begins; a handler
only notes it. (An `Event` cannot be set by a handler that interrupts whoever waits for it.)
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from types import FrameType, TracebackType
from typing import Any, Final, Self

from ballast.clock import steady_seconds

ENDING: Final = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Notes SIGTERM and SIGINT while it is entered.

    Attributes:
        first_at: when the first came, in seconds since the epoch; None if none has.
        first_steady: likewise, in seconds that only pass.
        count: how many came; the second means: now.
    """

    def __init__(self) -> None:
        self.first_at: float | None = None
        self.first_steady = 0.0
        self.count = 0
        self._before: dict[int, Any] = {}
        self._reader = self._writer = -1

    def __enter__(self) -> Self:
        self._reader, self._writer = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        for number in ENDING:
            self._before[number] = signal.signal(number, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        os.close(self._reader)
        os.close(self._writer)

    def wait(self, seconds: float) -> bool:
        """Wait for a signal that has not been waited for yet, and return whether there was one."""
        ready, _, _ = select.select([self._reader], [], [], max(seconds, 0.0))
        if ready:
            os.read(self._reader, 64)
        return bool(ready)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        self.count += 1
        if self.first_at is None:
            self.first_at, self.first_steady = time.time(), steady_seconds()
        with contextlib.suppress(BlockingIOError):  # thousands came, and one is enough
            os.write(self._writer, b"!")
