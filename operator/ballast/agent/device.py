"""The vendor seam: what the agent asks of a GPU and its driver, in base units and typed errors.

`nvml` implements it for NVIDIA; a second vendor is one more module. What must hold of an implementation: every call
goes to the board and back before it returns (nothing is cached or queued), a call that changes something changes only
what its name says, and every failure is one of the errors below. Calls may block; the agent makes them on one thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ballast.api.nodestatus import Capability
from ballast.errors import BallastError


class DeviceError(BallastError):
    """A GPU or its driver did not do what it was asked."""


class NotSupported(DeviceError):
    """This board, or its driver, does not know the call, and never will."""


class NoPermission(DeviceError):
    """The caller may not do that: changing anything needs root."""


class OutOfRange(DeviceError):
    """The value is outside what the board takes."""


class DeviceLost(DeviceError):
    """The GPU does not answer any more: it fell off the bus, or must be reset."""


class DriverGone(DeviceError):
    """The driver was unloaded or reloaded: every handle is void until `Driver.reopen`."""


class Throttle(StrEnum):
    """Why a GPU runs below the clocks that it could have; a few may hold at once."""

    IDLE = "Idle"
    POWER_LIMIT = "PowerLimit"
    """The power limit holds it back."""
    CLOCKS = "Clocks"
    """Locked or application clocks hold it back."""
    THERMAL = "Thermal"
    HARDWARE = "Hardware"
    """A hardware slowdown: power brake, or too hot."""
    OTHER = "Other"


@dataclass(frozen=True, slots=True)
class Range:
    """A closed range."""

    lowest: float
    highest: float

    def holds(self, value: float) -> bool:
        """Return whether the value is in it."""
        return self.lowest <= value <= self.highest


@dataclass(frozen=True, slots=True)
class MigDevice:
    """A part of a GPU that is divided by MIG.

    Attributes:
        slices: its share of the GPU's compute slices.
        slices_of_gpu: how many compute slices the whole GPU has.
    """

    uuid: str
    slices: int
    slices_of_gpu: int


@dataclass(frozen=True, slots=True)
class Description:
    """What a GPU is and can do; found out once, and again after the driver was reloaded.

    Attributes:
        model: as GPU feature discovery labels it, as in `NVIDIA-A100-SXM4-80GB`.
        capabilities: as tried out.
        power_limit_watts: limits that can be set; None if the board does not tell.
        default_power_limit_watts: what the board has after a reset.
        clock_hertz: the GPU clocks to which it can be locked.
        clocks_hertz: each clock that it knows within that range, ascending; may be empty.
        memory_clocks_hertz: each memory clock that it knows, ascending; may be empty.
        mig: its MIG devices; empty unless it is divided.
        mig_enabled: whether it is in MIG mode.
    """

    uuid: str
    model: str
    memory_bytes: int | None
    capabilities: frozenset[Capability]
    power_limit_watts: Range | None = None
    default_power_limit_watts: float | None = None
    clock_hertz: Range | None = None
    clocks_hertz: tuple[int, ...] = ()
    memory_clocks_hertz: tuple[int, ...] = ()
    mig_enabled: bool = False
    mig: tuple[MigDevice, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """One reading of a GPU; a part that the board does not tell is None.

    Attributes:
        at: seconds on the agent's steady clock (`clock.steady_seconds`), taken beside the energy counter.
        energy_joules: since the driver was loaded; moves about every 100 ms.
        power_watts: present power: averaged over a second on most boards.
        utilization: share of the time in which it computed, 0 to 1.
    """

    at: float
    energy_joules: float | None = None
    power_watts: float | None = None
    power_limit_watts: float | None = None
    clock_hertz: int | None = None
    memory_clock_hertz: int | None = None
    temperature_celsius: float | None = None
    utilization: float | None = None
    throttle: frozenset[Throttle] = field(default=frozenset())


@dataclass(frozen=True, slots=True)
class Process:
    """A process that computes on a GPU; the pid is the one that the node's own `/proc` shows.

    Attributes:
        mig_device: UUID of the MIG device on which it computes.
    """

    pid: int
    mig_device: str | None = None


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """How much of a GPU one process used, by the driver's own samples.

    Attributes:
        until_microseconds: the driver's time of the newest sample; given back at the next call.
        utilization: mean share of the GPU's time, 0 to 1.
    """

    pid: int
    until_microseconds: int
    utilization: float


class PowerDevice(Protocol):
    """One GPU."""

    @property
    def uuid(self) -> str:
        """Its UUID: the only name by which it is known."""

    def describe(self) -> Description:
        """Find out what it is and can do; changes nothing."""

    def sample(self) -> Sample:
        """Read it once."""

    def read_energy(self) -> Sample:
        """Read only `at`, energy counter and power: the cheap part of `sample`, for many times a second."""

    def processes(self) -> tuple[Process, ...]:
        """Return the processes that compute on it."""

    def usage_since(self, microseconds: int) -> tuple[ProcessUsage, ...]:
        """Return what each process used after the driver's time `microseconds`; 0 for all that the driver remembers.

        Raises:
            NotSupported: the board keeps no account of processes (MIG, old boards).
        """

    def power_limit_watts(self) -> float:
        """Return the power limit that is set now."""

    def set_power_limit(self, watts: float) -> None:
        """Set the power limit."""

    def lock_clocks(self, lowest_hertz: int, highest_hertz: int) -> None:
        """Keep the GPU clock within a range."""

    def unlock_clocks(self) -> None:
        """Let the GPU choose its clock again."""

    def lock_memory_clock(self, hertz: int) -> None:
        """Keep the memory clock."""

    def unlock_memory_clock(self) -> None:
        """Let the GPU choose its memory clock again."""


class Driver(Protocol):
    """The driver of one vendor's GPUs on this node."""

    @property
    def version(self) -> str | None:
        """Its version; None without a driver."""

    def devices(self) -> Sequence[PowerDevice]:
        """Return the GPUs that answer now, by UUID."""

    def reopen(self) -> None:
        """Begin anew after `DriverGone`: old devices are void, `devices` gives new ones.

        Raises:
            DriverGone: there still is no driver.
        """

    def close(self) -> None:
        """Let go of the driver; nothing that was set changes."""
