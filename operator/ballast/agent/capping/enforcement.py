"""Enforces what the operator asks: from the newest spec, holders and Lease to the boards, in rounds.

A round follows each change, and a few seconds after the last one anyway, to find what somebody else changed and GPUs
that came back. What must hold: nothing is changed before spec and holders are known, but for what a stale operator
demands; rounds do not overlap; what a round found is there before the next one begins.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from ballast.agent.capping.assignments import Wanted, assign
from ballast.agent.capping.capper import Capper, GpuState, Restored
from ballast.agent.capping.operator_lease import OperatorLease
from ballast.agent.device import DriverGone, Sample
from ballast.agent.device_thread import DeviceThread
from ballast.agent.gpus import Gpus
from ballast.api.nodepower import NodePowerSpec
from ballast.api.operatingpoint import OperatingPoint

logger = logging.getLogger(__name__)

LOOK_SECONDS = 30.0
"""How often it is looked whether GPUs came or went, or were divided."""
REOPEN_SECONDS = 1.0
"""A driver that goes again so soon after it came back is not asked at once."""


@dataclass(frozen=True, slots=True)
class Confirmed:
    """When a GPU's operating point was read back, and when it had been asked for, in steady seconds."""

    at: float
    asked_at: float | None


@dataclass(slots=True)
class Inputs:
    """What a round goes by; None while it is not known.

    Attributes:
        spec: of the NodePower.
        holders: UIDs of the pods that hold a GPU, by its UUID or that of its MIG device.
        samples: the newest reading of each GPU.
    """

    spec: NodePowerSpec | None = None
    holders: Mapping[str, frozenset[str]] | None = None
    samples: Mapping[str, Sample] | None = None


class Enforcement:
    """Runs rounds; what they came to is in `states`, `confirmed` and `changed`.

    Args:
        thread: where boards are touched.
        gpus: the node's GPUs.
        capper: touches them.
        lease: tells whether the operator lives.
        inputs: asked at the beginning of each round.
        clock: steady seconds.
        drift_seconds: the longest time between two rounds.
        on_round: called after each round.
    """

    def __init__(
        self,
        thread: DeviceThread,
        gpus: Gpus,
        capper: Capper,
        lease: OperatorLease,
        inputs: Callable[[], Inputs],
        clock: Callable[[], float],
        drift_seconds: float,
        on_round: Callable[[], None] = lambda: None,
    ) -> None:
        self._thread = thread
        self._gpus = gpus
        self._capper = capper
        self._lease = lease
        self._inputs = inputs
        self._clock = clock
        self._drift_seconds = drift_seconds
        self._on_round = on_round
        self._woken = asyncio.Event()
        self._woken_at: float | None = None
        self._looked_at = clock()
        self._reopened_at = float("-inf")
        self._points: dict[str, OperatingPoint | None] = {}
        self._asked_at: dict[str, float] = {}
        self.states: Mapping[str, GpuState] = {}
        self.confirmed: dict[str, Confirmed] = {}
        self.changed = capper.changed
        """GPUs that are not, or perhaps not, as they were found."""
        self.rounds = 0

    def wake(self) -> None:
        """Ask for a round soon, because something that it goes by changed."""
        if self._woken_at is None:
            self._woken_at = self._clock()
        self._woken.set()

    async def run(self) -> None:
        """Run rounds until cancelled."""
        while True:
            await self.round()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await self._woken.wait()

    async def round(self) -> None:
        """Run one round."""
        woken_at, self._woken_at = self._woken_at, None
        self._woken.clear()
        now = self._clock()
        try:
            if now - self._looked_at >= LOOK_SECONDS:
                self._looked_at = now
                await self._thread.run(self._gpus.look)
            if not self._gpus.devices and self._capper.changed:
                await self._begin_anew()  # This round goes on with what there is: it needs no other.
            inputs = self._inputs()
            wanted = assign(
                inputs.spec,
                inputs.holders,
                self._gpus.descriptions,
                operator_fresh=self._lease.is_fresh(now),
                enforced=self._capper.enforced,
            )
            if wanted is not None:
                self._note_asked(wanted, woken_at if woken_at is not None else now)
                self.states = await self._thread.run(self._capper.reconcile, wanted, inputs.samples)
        except DriverGone as error:
            logger.warning("the driver is gone; beginning anew when it is back", extra={"error": str(error)})
            await self.reopen()
        self.changed = self._capper.changed
        self._note_confirmed()
        self.rounds += 1
        self._on_round()

    async def reopen(self) -> None:
        """Begin anew with the driver, which has forgotten what was set."""
        if await self._begin_anew():
            before, self._reopened_at = self._reopened_at, self._clock()
            if self._reopened_at - before >= REOPEN_SECONDS:
                self.wake()

    async def restore(self) -> Restored:
        """Give every GPU what was found; `states` tells then only what could not be given back."""
        done = await self._thread.run(self._capper.restore_all)
        self.states = {
            uuid: GpuState(found_power_limit_watts=self._capper.found_power_limit_watts(uuid), problem=problem)
            for uuid, problem in done.problems.items()
        }
        self.confirmed, self.changed = {}, self._capper.changed
        return done

    async def _begin_anew(self) -> bool:
        is_there = await self._thread.run(self._gpus.reopen)
        if is_there:
            await self._thread.run(self._capper.forget)
        return is_there

    def _pause(self) -> float:
        """Return the seconds to the next round if nothing changes; at the latest when the operator turns stale."""
        due = self._lease.next_due(self._clock())
        return self._drift_seconds if due is None else max(min(self._drift_seconds, due - self._clock()), 0.0) + 0.01

    def _note_asked(self, wanted: Mapping[str, Wanted], now: float) -> None:
        for uuid, one in wanted.items():
            if one.point is not None and one.point != self._points.get(uuid):
                self._asked_at[uuid] = now
        self._points = {uuid: one.point for uuid, one in wanted.items()}

    def _note_confirmed(self) -> None:
        confirmed = {}
        for uuid, state in self.states.items():
            if state.enforced is None:
                continue
            before = self.confirmed.get(uuid)
            if before is not None and before.at == state.since:
                confirmed[uuid] = before
            elif state.since is not None:
                # Once: what is set again later, after the driver was reloaded, answers no question.
                asked_at = self._asked_at.pop(uuid, None)
                is_answer = asked_at is not None and asked_at <= state.since
                confirmed[uuid] = Confirmed(state.since, asked_at if is_answer else None)
        self.confirmed = confirmed
