"""Stop requests by signal: the first asks for a checkpoint, a second one means now.

The handlers only set a flag; the trainer looks at it between steps, where the state is whole. They are installed
before torch is imported: process 1 of a container ignores a signal that it has no handler for, and the request would
be lost during the seconds that the imports take. The exit status is 128 + signal, never 0, so that a Job whose pod is
being deleted cannot mistake an interrupted run for a finished one.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from types import FrameType

EXIT_SIGNAL_BASE = 128
ECHO_SECONDS = 1.0
"""A repeat within this time is an echo of the same request.

One Ctrl-C or one signal to a process group reaches a worker twice: directly, and forwarded by torchrun.
"""

_Handler = Callable[[int, FrameType | None], object] | int | None


def exit_status(signum: int) -> int:
    """The exit status by which shells and kubelets recognise a death by signal."""
    return EXIT_SIGNAL_BASE + signum


class StopSignals:
    """Remembers the first SIGTERM or SIGINT; leaves at once on the second.

    Args:
        leave: Ends the process without unwinding; injected by tests.
        clock: Monotonic seconds; injected by tests.
    """

    def __init__(
        self,
        leave: Callable[[int], object] = os._exit,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.requested: int | None = None
        self._requested_at = 0.0
        self._leave = leave
        self._clock = clock
        self._previous: dict[int, _Handler] = {}

    def install(self) -> None:
        """Take over SIGTERM and SIGINT; main thread only."""
        for signum in (signal.SIGTERM, signal.SIGINT):
            self._previous[signum] = signal.signal(signum, self.handle)

    def restore(self) -> None:
        """Give the signals back to whoever handled them before."""
        while self._previous:
            signum, handler = self._previous.popitem()
            signal.signal(signum, handler)

    def handle(self, signum: int, frame: FrameType | None = None) -> None:
        """The handler: nothing here may log or allocate locks, it can interrupt any line."""
        now = self._clock()
        if self.requested is None:
            self.requested = signum
            self._requested_at = now
        elif now - self._requested_at > ECHO_SECONDS:
            # Checkpoints are written beside the old one and renamed, so leaving here cannot tear one.
            self._leave(exit_status(signum))
