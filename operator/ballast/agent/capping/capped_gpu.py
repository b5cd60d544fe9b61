"""One GPU under the agent's hand: what it was told, what it has, and the steps from here to what is wanted.

`capper` calls the steps of all GPUs in the order that keeps G1. What must hold: a step is taken only if something
differs, so that a second round asks the board to set nothing; a power limit counts as set when it was read back; a part
stays in `original` until what was found is confirmed to be back; and no point goes above the limit that was found,
which an admin may have set for the sake of the mains or the cooling.

Locked clocks cannot be read back. That somebody took off or widened a lock shows only in a clock above it, and that the
board was reset in its energy counter, which begins anew; that somebody narrowed a lock does not show at all.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

from ballast.agent.capping.originals import Original, Part
from ballast.agent.device import (
    DeviceError,
    DeviceLost,
    DriverGone,
    NoPermission,
    NotSupported,
    OutOfRange,
    PowerDevice,
    Sample,
)
from ballast.api.operatingpoint import OperatingPoint

logger = logging.getLogger(__name__)

LIMIT_TOLERANCE_WATTS: Final = 0.5
"""Boards round limits; nobody means half a watt."""
EXACT_WATTS: Final = 0.002
"""What was found goes back to the milliwatt."""
CLOCK_SLACK_HERTZ: Final = 20_000_000
"""A clock is above a lock only if it is so by more than a step of any board's clocks (7.5 to 15 MHz)."""
SETTLE_SECONDS: Final = 2.0
"""How old a lock must be before a clock above it means anything."""
RETRY_SECONDS: Final = 10.0
"""After a point could not be set whole, it is not tried again for so long: each time the GPU's point would flicker."""
NOTHING: Final = Original()

_SURELY_NOT_DONE = (NoPermission, NotSupported, OutOfRange)


class NotTaken(DeviceError):
    """The board said yes and did something else."""


class Failpoints(Protocol):
    """Where a test may end the process."""

    def passing(self, name: str) -> None:
        """Be told that `name` is passed."""


@dataclass(slots=True)
class _Set:
    """What the agent has set, as far as this process knows."""

    limit_watts: float | None = None  # as read back
    clocks: tuple[int, int] | None = None
    memory_clock: int | None = None
    locked_at: float = 0.0


class CappedGpu:
    """One GPU.

    Args:
        uuid: its UUID.
        clock: steady seconds.
        failpoints: passed before and after each change of the board.
    """

    def __init__(self, uuid: str, clock: Callable[[], float], failpoints: Failpoints) -> None:
        self.uuid = uuid
        self.original = NOTHING
        self.trouble: str | None = None
        self.lost = False
        self.since: float | None = None
        self.reapplied = 0
        self._clock = clock
        self._failpoints = failpoints
        self._set = _Set()
        self._met: OperatingPoint | None = None  # the point that was set whole
        self._point: OperatingPoint | None = None  # the point that is wanted in this round
        self._refused: tuple[OperatingPoint, float, str] | None = None  # until when, and why
        self._device: PowerDevice
        self._present_watts: float | None = None
        self._tried: set[Part] = set()
        self._drifted = False
        self._energy_joules: float | None = None  # of the newest sample

    @property
    def enforced(self) -> OperatingPoint | None:
        """The point that it has by the agent's doing; its limit as read back."""
        if self._met is None:
            return None
        limit = self._set.limit_watts if self._met.power_limit_watts is not None else None
        return self._met.model_copy(update={"power_limit_watts": limit})

    def forget(self) -> None:
        """Know no longer what is set: the driver was reloaded, or the board was away."""
        self._set = _Set()
        self._met = self.since = None
        self._refused = None

    # -- a round

    def begin(
        self, device: PowerDevice, point: OperatingPoint | None, original: Original, sample: Sample | None
    ) -> None:
        """Look at the board; changes nothing. What `original` says then must be on the disk before the next step.

        Args:
            device: the board.
            point: what it shall have; None: what was found.
            original: what is kept of it.
            sample: its newest reading.

        Raises:
            DeviceError: the board did not answer.
        """
        self._device, self.trouble, self.lost = device, None, False
        self._point = self._unless_refused(point)
        limit_matters = Part.POWER_LIMIT in original.parts | _parts(self._point)
        self._present_watts = device.power_limit_watts() if limit_matters else None
        found = original.power_limit_watts if Part.POWER_LIMIT in original.parts else self._present_watts
        self._refuse_above(found)
        self._drifted = self._find_drift(sample)
        self._tried = set(original.parts)
        parts = original.parts | _parts(self._point)
        self.original = Original(parts, found if Part.POWER_LIMIT in parts else None, original.lost)

    def give_up(self, problem: str, original: Original) -> None:
        """Take no new part in hand in this round: what was found could not be kept."""
        self.trouble, self.original, self._point = problem, original, None

    def lower(self) -> None:
        """Take the steps after which it may draw less.

        Raises:
            DeviceError: one failed.
        """
        if self._point is not None:
            self._lock_memory_clock(self._point)
            self._lock_clocks(self._point)
        self._reach_limit(lowering=True)

    def lift(self) -> None:
        """Take the steps after which it may draw more; with them it has all that is wanted.

        Raises:
            DeviceError: one failed; the others were taken all the same.
        """
        superfluous = self.original.parts - _parts(self._point)
        steps: list[Callable[[], None]] = [lambda: self._reach_limit(lowering=False)]
        if Part.CLOCKS in superfluous:
            steps.append(lambda: self._unlock(Part.CLOCKS, "clocks.restore", self._device.unlock_clocks))
        if Part.MEMORY_CLOCK in superfluous:
            steps.append(lambda: self._unlock(Part.MEMORY_CLOCK, "memory.restore", self._device.unlock_memory_clock))
        failures = []
        for step in steps:
            try:
                step()
            except (DeviceLost, DriverGone):
                raise
            except DeviceError as error:
                failures.append(error)
        if failures:
            raise failures[0]

    def fall_back(self) -> None:
        """Begin to give back what was found, after `fail`.

        Raises:
            DeviceError: it failed.
        """
        if Part.POWER_LIMIT in self.original.parts:
            self._present_watts = self._device.power_limit_watts()  # a call that failed may have changed it
        self._reach_limit(lowering=True)

    def end(self) -> None:
        """Note that all of the round's steps were taken."""
        if self._point is None:
            self._met = self.since = None
            return
        if self._point != self._met:
            self.since = self._clock()
            logger.info("operating point set", extra={"gpu": self.uuid, "point": _told(self._point)})
        elif self._drifted:
            self.reapplied += 1
            logger.warning(
                "somebody else had changed what is set; set again",
                extra={"gpu": self.uuid, "point": _told(self._point), "reapplied": self.reapplied},
            )
        self._met = self._point

    def fail(self, error: DeviceError) -> bool:
        """Note that a step failed. If it was to get a point, what was found is wanted now: no half of a point stays.

        Returns:
            Whether it was to get one, so that the steps must be taken again.
        """
        logger.error("a step failed", extra={"gpu": self.uuid, "error": str(error), "restoring": self._point is None})
        if self._point is None:
            problem = f"what was found is not restored: {error}; it is tried again"
            self.trouble = f"{self.trouble}; {problem}" if self.trouble else problem
            return False
        self.trouble = f"the operating point is not set: {error}"
        self._refused = (self._point, self._clock() + RETRY_SECONDS, self.trouble)
        self._point = None
        # What was only going to be changed needs no restoring, and gets no call that would fail likewise.
        self.original = _without(self.original, self.original.parts - self._tried)
        return True

    def lose(self, error: DeviceError) -> None:
        """Note that the board does not answer. What it had is kept for when it comes back."""
        if not self.lost:
            logger.error("a GPU does not answer", extra={"gpu": self.uuid, "error": str(error)})
        self.forget()
        self.lost, self._point = True, None
        self.trouble = f"the GPU does not answer ({error}); what it had is kept until it does"

    # -- steps

    def _reach_limit(self, *, lowering: bool) -> None:
        wanted = self._point.power_limit_watts if self._point is not None else None
        restoring = wanted is None
        if restoring:
            if Part.POWER_LIMIT not in self.original.parts:
                return
            wanted = self._found_watts()
        if wanted is None or self._present_watts is None:
            raise NotTaken("neither the power limit that was found nor the board's default is known; set it by hand")
        tolerance = EXACT_WATTS if restoring else LIMIT_TOLERANCE_WATTS
        if abs(self._present_watts - wanted) > tolerance:
            if (wanted < self._present_watts) is not lowering:
                return  # its turn comes
            name, watts = ("limit.restore" if restoring else "limit.set"), wanted
            self._step(name, Part.POWER_LIMIT, lambda: self._device.set_power_limit(watts))
            self._present_watts = read = self._device.power_limit_watts()
            if abs(read - watts) > tolerance:
                raise NotTaken(f"a power limit of {watts:g} W was asked for, and {read:g} W was read back")
        self._set.limit_watts = None if restoring else self._present_watts
        if restoring:
            self.original = _without(self.original, {Part.POWER_LIMIT})

    def _lock_clocks(self, point: OperatingPoint) -> None:
        lowest, highest = point.min_clock_hertz, point.max_clock_hertz
        if lowest is None or highest is None or (self._set.clocks == (lowest, highest) and not self._drifted):
            return
        self._step("clocks.lock", Part.CLOCKS, lambda: self._device.lock_clocks(lowest, highest))
        self._set.clocks, self._set.locked_at = (lowest, highest), self._clock()

    def _lock_memory_clock(self, point: OperatingPoint) -> None:
        hertz = point.memory_clock_hertz
        if hertz is None or (self._set.memory_clock == hertz and not self._drifted):
            return
        self._step("memory.lock", Part.MEMORY_CLOCK, lambda: self._device.lock_memory_clock(hertz))
        self._set.memory_clock, self._set.locked_at = hertz, self._clock()

    def _unlock(self, part: Part, name: str, unlock: Callable[[], None]) -> None:
        if part is Part.CLOCKS:
            self._set.clocks = None
        else:
            self._set.memory_clock = None
        try:
            self._step(name, part, unlock)
        except NotSupported:
            if self.original.lost is None:
                raise  # else it may never have been locked
        self.original = _without(self.original, {part})

    def _step(self, name: str, part: Part, change: Callable[[], None]) -> None:
        self._failpoints.passing(f"before:{name}")
        try:
            change()
        except _SURELY_NOT_DONE:
            raise
        except DeviceError:
            self._tried.add(part)
            raise
        self._tried.add(part)
        self._failpoints.passing(f"after:{name}")

    # -- what is

    def _found_watts(self) -> float | None:
        """Return the limit to restore: what was found; the default if that is lost."""
        found = self.original.power_limit_watts
        if self.original.lost is None and found is not None:
            return found
        gpu = self._device.describe()
        if gpu.default_power_limit_watts is not None:
            return gpu.default_power_limit_watts
        return gpu.power_limit_watts.highest if gpu.power_limit_watts else None

    def _find_drift(self, sample: Sample | None) -> bool:
        """Return whether somebody else has changed what this process had set."""
        if self._met is None:
            # What is set in this round is compared with the next one's: a reset in between must show.
            self._energy_joules = sample.energy_joules if sample is not None else None
            return False
        # Whichever it was, everything is set again: a reset takes off locks without a trace. One that shows in the
        # limit before it shows in the counter is found twice, which does no harm; one must not be missed.
        return self._was_reset(sample) or self._limit_drifted() or self._clocks_drifted(sample)

    def _limit_drifted(self) -> bool:
        present, confirmed = self._present_watts, self._set.limit_watts
        if present is None or confirmed is None:
            return False
        return abs(present - confirmed) > LIMIT_TOLERANCE_WATTS

    def _was_reset(self, sample: Sample | None) -> bool:
        """Return whether the energy counter began anew: so does all else of a board, or of its driver."""
        if sample is None or sample.energy_joules is None or sample.at < self._set.locked_at:
            return False
        before, self._energy_joules = self._energy_joules, sample.energy_joules
        return before is not None and sample.energy_joules < before

    def _clocks_drifted(self, sample: Sample | None) -> bool:
        """Return whether a clock is above what it was locked to."""
        if sample is None or sample.at < self._set.locked_at + SETTLE_SECONDS:
            return False
        highest = self._set.clocks[1] if self._set.clocks is not None else None
        pairs = ((sample.clock_hertz, highest), (sample.memory_clock_hertz, self._set.memory_clock))
        return any(seen is not None and most is not None and seen > most + CLOCK_SLACK_HERTZ for seen, most in pairs)

    def _refuse_above(self, found: float | None) -> None:
        """Want no point whose limit is above what was found: somebody had a reason to set that."""
        watts = self._point.power_limit_watts if self._point is not None else None
        if watts is not None and found is not None and watts > found + LIMIT_TOLERANCE_WATTS:
            self._point = None
            self.trouble = (
                f"the operating point is not set: powerLimitWatts {watts:g} is above the {found:g} W that were found;"
                " choose a lower power limit, or have the node's admin raise the GPU's"
            )

    def _unless_refused(self, point: OperatingPoint | None) -> OperatingPoint | None:
        if self._refused is None:
            return point
        refused, until, problem = self._refused
        if point == refused and self._clock() < until:
            self.trouble = problem
            return None
        self._refused = None
        return point


def _parts(point: OperatingPoint | None) -> set[Part]:
    if point is None:
        return set()
    values = {
        Part.POWER_LIMIT: point.power_limit_watts,
        Part.CLOCKS: point.max_clock_hertz,
        Part.MEMORY_CLOCK: point.memory_clock_hertz,
    }
    return {part for part, value in values.items() if value is not None}


def _without(original: Original, parts: set[Part] | frozenset[Part]) -> Original:
    left = original.parts - parts
    limit = original.power_limit_watts if Part.POWER_LIMIT in left else None
    return Original(left, limit, original.lost if left else None)


def _told(point: OperatingPoint) -> dict[str, float]:
    told: dict[str, float] = point.model_dump(by_alias=True, exclude_none=True)
    return told
