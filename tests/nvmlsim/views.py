"""What a simulator shows of its boards: how they stand, whose joules they were, which setters were called."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from tests.nvmlsim import blocks
from tests.nvmlsim.boards import BoardModel
from tests.nvmlsim.ledger import GpuLedger
from tests.nvmlsim.state import CallBlock, GpuBlock, StateBlock


@dataclass(frozen=True)
class Gpu:
    """A board as it stands: what is set on it, and what it tells.

    Attributes:
        locked_clocks_mhz: Lowest and highest clock, after snapping to those that the board knows; None without a lock.
        watts: What it draws now; `average_watts` over the last second.
        energy_joules: Its counter.
        throttle_reasons: NVML's bits.
    """

    uuid: str
    model: BoardModel
    power_limit_watts: float
    default_power_limit_watts: float
    locked_clocks_mhz: tuple[int, int] | None
    locked_memory_clocks_mhz: tuple[int, int] | None
    clock_mhz: int
    memory_clock_mhz: int
    watts: float
    average_watts: float
    energy_joules: float
    temperature_celsius: int
    utilization: float
    throttle_reasons: int
    lost: bool

    @classmethod
    def of(cls, model: BoardModel, block: GpuBlock) -> Self:
        """Read it from its block."""
        control, readings = block.control, block.readings
        return cls(
            uuid=blocks.text(block.board.uuid),
            model=model,
            power_limit_watts=control.limit_mw / 1000,
            default_power_limit_watts=block.board.default_limit_mw / 1000,
            locked_clocks_mhz=blocks.lock(control.lock_min_mhz, control.lock_max_mhz),
            locked_memory_clocks_mhz=blocks.lock(control.memory_lock_min_mhz, control.memory_lock_max_mhz),
            clock_mhz=readings.clock_mhz,
            memory_clock_mhz=readings.memory_clock_mhz,
            watts=readings.power_mw / 1000,
            average_watts=readings.average_power_mw / 1000,
            energy_joules=readings.energy_mj / 1000,
            temperature_celsius=readings.temperature_celsius,
            utilization=readings.utilization_percent / 100,
            throttle_reasons=readings.throttle_reasons,
            lost=bool(readings.lost),
        )


@dataclass(frozen=True)
class Truth:
    """Whose joules they were, since the simulator was created; faults change nothing in it.

    Attributes:
        active_joules: What each holder's load drew above idle, by key.
        idle_joules: Each holder's share of the idle joules, by key.
        unattributed_joules: What belongs to nobody.
        total_joules: All that the board drew, to the present moment (its counter lags by up to 100 ms).
    """

    active_joules: Mapping[str, float]
    idle_joules: Mapping[str, float]
    unattributed_joules: float
    total_joules: float

    @classmethod
    def of(cls, gpu: GpuLedger) -> Self:
        """Copy it from the ledger."""
        return cls(dict(gpu.active_joules), dict(gpu.idle_joules), gpu.unattributed_joules, gpu.total_joules)


@dataclass(frozen=True)
class Call:
    """A setter that a client called through the library.

    Attributes:
        name: The C function.
        arguments: After the device; watts are milliwatts and clocks MHz, as they were given.
        result: NVML's return code.
        at_seconds: Simulated time since the simulator was created.
    """

    pid: int
    name: str
    uuid: str
    arguments: tuple[int, ...]
    result: int
    at_seconds: float

    @classmethod
    def of(cls, entry: CallBlock, block: StateBlock, started_us: int) -> Self:
        """Read it from the log."""
        return cls(
            pid=entry.pid,
            name=blocks.text(entry.name),
            uuid=blocks.text(block.gpus[entry.gpu].board.uuid),
            arguments=tuple(entry.arguments[: entry.argument_count]),
            result=entry.result,
            at_seconds=(entry.at_us - started_us) / 1e6,
        )
