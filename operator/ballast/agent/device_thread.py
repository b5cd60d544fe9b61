"""The one thread on which the agent calls drivers and reads the node's files: what blocks there never blocks the loop.

What must hold: calls run one after the other, in the order in which they were made, so that metering and capping never
meet inside a driver. A call that hangs shows in `busy_seconds`; it cannot be ended but with the process.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class DeviceThread:
    """Runs calls; close it at the end."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="devices")
        self._began: float | None = None

    async def run(self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a call after those that were made before, and return what it returns."""

        def timed() -> T:
            self._began = time.monotonic()
            try:
                return call(*args, **kwargs)
            finally:
                self._began = None

        return await asyncio.get_running_loop().run_in_executor(self._executor, timed)

    @property
    def busy_seconds(self) -> float:
        """How long the present call has taken; 0 while there is none."""
        began = self._began
        return 0.0 if began is None else time.monotonic() - began

    def close(self) -> None:
        """Start no further call; one that hangs is left behind."""
        self._executor.shutdown(wait=False, cancel_futures=True)
