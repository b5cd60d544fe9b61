"""The one loop of the operator: wait for a change, take a snapshot, decide, hand the actions over.

Deciding runs in a thread on frozen data, so that watches and probes go on meanwhile, and never waits for writes. What
must hold: no cycle before the first complete list; every cycle ends or `why_stuck` says so.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress

from ballast.act.executor import Executor
from ballast.decide.cycle import decide
from ballast.observe.cluster_state import ClusterState
from ballast.serve.metrics import Metrics

logger = logging.getLogger(__name__)


class ControlLoop:
    """Runs cycles until cancelled.

    Args:
        state: what is known; its `synced` event opens the loop.
        executor: carries actions out.
        metrics: where cycle times go.
        debounce_seconds: how long to wait for changes that come with the first one.
        idle_seconds: the longest time between two cycles.
        clock: seconds since the epoch.
    """

    def __init__(
        self,
        state: ClusterState,
        executor: Executor,
        metrics: Metrics,
        debounce_seconds: float,
        idle_seconds: float,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._state = state
        self._executor = executor
        self._metrics = metrics
        self._debounce_seconds = debounce_seconds
        self._idle_seconds = idle_seconds
        self._clock = clock
        self._woken = asyncio.Event()
        self._last_cycle: float | None = None
        self.ready = asyncio.Event()

    def wake(self) -> None:
        """Ask for a cycle soon."""
        self._woken.set()

    async def run(self) -> None:
        """Run cycles, from the first complete list on."""
        await self._state.synced.wait()
        self._last_cycle = time.monotonic()
        self.wake()
        while True:
            await self._wait_for_change()
            await self._cycle()
            self._last_cycle = time.monotonic()
            self.ready.set()

    async def _wait_for_change(self) -> None:
        # Without room nothing can be done about what is due, and the end of any action wakes the loop.
        due = self._state.seconds_to_next_due() if self._executor.room else None
        timeout = self._idle_seconds if due is None else min(due, self._idle_seconds)
        # Not `wait_for`: before Python 3.12 it swallows a cancellation that comes together with the wake-up.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._woken.wait()
            await asyncio.sleep(self._debounce_seconds)
        self._woken.clear()

    async def _cycle(self) -> None:
        room = self._executor.room
        if not room:
            return  # The end of any action wakes the loop again.
        with self._metrics.cycle_seconds.time():
            snapshot = self._state.snapshot(self._clock(), room, self._executor.room_for_explanations)
            decision = await asyncio.to_thread(decide, snapshot)
            self._state.remember(decision.refused, decision.held_for, decision.held)
            for action in decision.actions:
                self._state.assume(action)
                self._executor.submit(action)
            if not decision.complete:
                self._state.look_again(snapshot)
            # Without room for explanations the end of one of them wakes the loop.
            if (self._state.has_more and self._executor.room_for_explanations) or not decision.complete:
                self.wake()

    def why_stuck(self, stuck_seconds: float) -> str | None:
        """Return a sentence if no cycle has ended for too long, else None; before the first list none can."""
        if self._last_cycle is None:
            return None
        silent = time.monotonic() - self._last_cycle
        if silent <= stuck_seconds:
            return None
        return f"no control cycle has ended for {silent:.0f} s (limit {stuck_seconds:.0f} s)"
