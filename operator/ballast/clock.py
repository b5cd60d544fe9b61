"""Two clocks that nobody can set: seconds that only pass, and the time of day as those seconds continue it.

`steady_seconds` goes on while the process is stopped and while the machine sleeps, so that a lease runs out meanwhile.
`SteadyClock` reads the wall clock once, at its start, and is advanced by `steady_seconds` from then on: a step of the
wall clock (an administrator, a late first synchronization) makes no deadline fire early or late.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

logger = logging.getLogger(__name__)

LARGE_OFFSET_SECONDS = 60.0

_STEADY = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)  # CLOCK_BOOTTIME is Linux' own


def steady_seconds() -> float:
    """Return seconds since some fixed moment; no step of the wall clock changes them."""
    return time.clock_gettime(_STEADY)


class SteadyClock:
    """Seconds since the epoch, by the wall clock as it stood when this was made.

    Args:
        wall: seconds since the epoch, which may jump.
        steady: seconds since any moment, which only pass.
    """

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = steady_seconds) -> None:
        self._wall = wall
        self._steady = steady
        self._epoch = wall() - steady()
        self._warned = False

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._epoch + self._steady()

    def offset_seconds(self) -> float:
        """Return how far the wall clock is ahead of this one: 0 unless it was set."""
        return self._wall() - self.now()

    def check(self) -> None:
        """Warn, once for each time that it happens, if the wall clock has gone far away from this one."""
        offset = self.offset_seconds()
        is_large = abs(offset) > LARGE_OFFSET_SECONDS
        if is_large and not self._warned:
            logger.warning(
                "the wall clock was set; deadlines go on by the time at which the operator started; if that one was "
                "wrong, restart the operator",
                extra={"offset_seconds": round(offset, 1)},
            )
        self._warned = is_large
