"""What can go wrong with a board or its driver, as `Simulator.inject` takes it.

A fault either happens once (the driver is reset, a counter starts anew) or holds until `Simulator.clear_faults`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

NOT_SUPPORTED, NO_PERMISSION = 3, 4
"""NVML's error codes."""

SETTERS = (
    "nvmlDeviceSetPowerManagementLimit",
    "nvmlDeviceSetGpuLockedClocks",
    "nvmlDeviceResetGpuLockedClocks",
    "nvmlDeviceSetMemoryLockedClocks",
    "nvmlDeviceResetMemoryLockedClocks",
)
"""The calls that change something; all others only read."""


class FaultKind(StrEnum):
    """What happens."""

    LOST = "Lost"
    DRIVER_RESET = "DriverReset"
    DRIVER_UNLOADED = "DriverUnloaded"
    COUNTER_RESET = "CounterReset"
    FAILS = "Fails"
    DENIED = "Denied"
    SLOW = "Slow"


@dataclass(frozen=True)
class Fault:
    """One fault; made by the functions below, which say what it does.

    Attributes:
        call: Name of the NVML call that it befalls, without `_v2`; empty for every call.
        error: NVML's error code that the call returns.
        milliseconds: How long the call sleeps.
        times: How many calls it befalls; 0 for all.
    """

    kind: FaultKind
    call: str = ""
    error: int = 0
    milliseconds: int = 0
    times: int = 0

    @classmethod
    def lost(cls) -> Fault:
        """Every call on the GPU is answered GPU_IS_LOST; when cleared it is as after a reset."""
        return cls(FaultKind.LOST)

    @classmethod
    def driver_reset(cls) -> Fault:
        """The driver is unloaded and loaded again: handles are void, limits default, locks gone, counters at zero."""
        return cls(FaultKind.DRIVER_RESET)

    @classmethod
    def driver_unloaded(cls) -> Fault:
        """There is no driver; cleared, it is loaded as after `driver_reset`."""
        return cls(FaultKind.DRIVER_UNLOADED)

    @classmethod
    def counter_reset(cls) -> Fault:
        """The energy counter starts at zero again; nothing else changes."""
        return cls(FaultKind.COUNTER_RESET)

    @classmethod
    def fails(cls, call: str, error: int, times: int = 0) -> Fault:
        """A call returns an NVML error."""
        return cls(FaultKind.FAILS, call, error, times=times)

    @classmethod
    def unsupported(cls, call: str) -> Fault:
        """The board does not know a call: NOT_SUPPORTED."""
        return cls.fails(call, NOT_SUPPORTED)

    @classmethod
    def no_power_reading(cls) -> Fault:
        """The board does not tell its power, neither by `GetPowerUsage` nor as a field."""
        return cls.unsupported("nvmlDeviceGetPowerUsage")

    @classmethod
    def no_permission(cls, call: str = "", times: int = 0) -> Fault:
        """A setter, or every one, is denied even to root: NO_PERMISSION."""
        return cls(FaultKind.DENIED, call, NO_PERMISSION, times=times)

    @classmethod
    def slow(cls, milliseconds: int, call: str = "", times: int = 0) -> Fault:
        """A call, or every one, takes so long."""
        return cls(FaultKind.SLOW, call, milliseconds=milliseconds, times=times)
