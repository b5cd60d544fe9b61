"""What a board truly drew at each limit while a job trained on it, looked at from the host ten times a second.

A machine that is busy gives a trainer less CPU than its quota now and then; its board idles meanwhile, and the
training is as much slower. That is no error of whoever measures the job: the truth is the true curve, times the share
of the time in which the board was kept busy.
"""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable
from statistics import fmean
from typing import Self

from tests.nvmlsim import curves
from tests.nvmlsim.boards import A40
from tests.nvmlsim.node import GpuNodeControl

PERIOD_SECONDS = 0.1
LEAST_BUSY = 0.9
MOST_UNEVEN = 0.04
SETTLED_SECONDS = 1.5
"""After a change of the limit, until the board and the container have followed."""


def busy_share(limit_watts: float, watts: float) -> float:
    """Return for which share of the time a board was kept busy that drew so much at a limit, by the true curve."""
    return (watts - A40.idle_watts) / (curves.curve(A40).watts_at(limit_watts) - A40.idle_watts)


def is_even(busy: Iterable[float]) -> bool:
    """Return whether boards were kept busy, and as much the one as the other: else what is seen is the machine's."""
    shares = tuple(busy)
    return min(shares) >= LEAST_BUSY and max(shares) <= min(shares) + MOST_UNEVEN


class Sampled:
    """Looks at a board; use it as a context manager.

    Args:
        gpus: of the node.
        uuid: the board's.
    """

    def __init__(self, gpus: GpuNodeControl, uuid: str) -> None:
        self._gpus = gpus
        self._uuid = uuid
        self._watts: dict[float, list[float]] = defaultdict(list)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._stop.set()
        self._thread.join()

    def busy(self) -> dict[float, float]:
        """Return, by limit, the share of the time in which the board was kept busy."""
        return {limit: busy_share(limit, fmean(watts)) for limit, watts in self._watts.items()}

    def _look(self) -> None:
        last, since = 0.0, time.monotonic()
        with self._gpus.simulator() as simulator:
            while not self._stop.wait(PERIOD_SECONDS):
                gpu, now = simulator.gpu(self._uuid), time.monotonic()
                if gpu.power_limit_watts != last:
                    last, since = gpu.power_limit_watts, now
                elif now - since > SETTLED_SECONDS:
                    self._watts[last].append(gpu.watts)
