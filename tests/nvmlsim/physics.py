"""What a board draws under its loads, limit and clocks, and whose joules those are. Pure: no file, clock or chance.

Holders of a whole GPU take turns on it: together they keep it busy for at most all of the time, each runs at the speed
and power of its own curve (`curves`) while it is its turn. Holders of MIG devices run beside each other, each on its
share of the GPU; the limit, which is the board's, binds them as if their shares were the whole.

The truth about joules: idle watts of a held GPU are split equally among its holders (with MIG, by compute slices; those
of free slices belong to nobody); what is drawn above idle belongs to the load that draws it; all that a GPU draws while
nobody holds it belongs to nobody.

Power follows a change of load, limit or clocks with a time constant, so for a moment after a limit was lowered the
board draws more than it. Invariant: the energy of a step is the exact integral of its power, and shares add up to it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.nvmlsim import curves
from tests.nvmlsim.boards import BoardModel

POWER_SECONDS = 0.1
"""Time constant with which the power follows."""
TEMPERATURE_SECONDS = 20.0
"""Time constant with which the temperature follows the power."""
AMBIENT_CELSIUS, RISE_CELSIUS = 30.0, 45.0
"""Temperature without power, and how much is added at the maximum limit."""

GPU_IDLE, CLOCK_SETTING, POWER_CAP = 0x1, 0x2, 0x4
"""NVML's throttle reasons; that locked clocks show as CLOCK_SETTING is synthetic."""


@dataclass(frozen=True)
class Load:
    """What one holder does with a GPU.

    Attributes:
        key: Who holds it: a pod's UID, or any text.
        pids: Its processes, as the node's own `/proc` numbers them.
        demand: The share of the time in which it would keep the GPU busy if it were alone, 0 to 1; 0 holds it idle.
        mig_device: UUID of its MIG device.
        workload: What it computes (`curves.curve`).
        memory_bytes: What each of its processes has in the GPU's memory.
    """

    key: str
    pids: tuple[int, ...] = ()
    demand: float = 1.0
    mig_device: str | None = None
    workload: str = ""
    memory_bytes: int = 2**31


@dataclass(frozen=True)
class Setting:
    """What is set on a board; a lock is the lowest and the highest clock."""

    limit_watts: float
    clocks_mhz: tuple[int, int] | None = None
    memory_clocks_mhz: tuple[int, int] | None = None


@dataclass(frozen=True)
class Working:
    """What one load does under a setting.

    Attributes:
        busy: The share of the GPU's time, or of the GPU, that it uses.
        speed: How fast it gets on, 1 being alone on its part of a GPU at the maximum limit and the highest clocks.
        active_watts: What it draws above idle once power has followed.
    """

    load: Load
    busy: float
    speed: float
    active_watts: float
    clock_mhz: int
    throttle: int


def working(board: BoardModel, slices: Mapping[str, int], loads: Sequence[Load], setting: Setting) -> list[Working]:
    """Return what each load does.

    Args:
        board: The GPU model.
        slices: Compute slices of each MIG device; empty unless the GPU is divided.
        loads: Who holds the GPU.
        setting: What is set on it.
    """
    wanted: dict[str | None, float] = defaultdict(float)
    for load in loads:
        wanted[load.mig_device] += load.demand
    share = {device: _share(board, slices, device) for device in wanted}
    limit = setting.limit_watts
    if slices and (used := sum(share[device] * min(1.0, demand) for device, demand in wanted.items())):
        limit = min(board.max_limit_watts, board.idle_watts + (limit - board.idle_watts) / used)
    return [_one(board, load, setting, limit, share[load.mig_device], wanted[load.mig_device]) for load in loads]


def _share(board: BoardModel, slices: Mapping[str, int], device: str | None) -> float:
    return slices[device] / board.mig_slices if device is not None else 1.0


def _one(board: BoardModel, load: Load, setting: Setting, limit: float, share: float, wanted: float) -> Working:
    curve = curves.curve(board, load.workload)
    turn = 1.0 / max(1.0, wanted)
    highest = board.clocks_mhz[-1]
    speed, watts = curve.speed_at(limit), curve.watts_at(limit) - board.idle_watts
    unlimited = curve.watts_at(board.max_limit_watts) - board.idle_watts
    clock = curves.clock_at_speed(min(1.0, speed))
    throttle = POWER_CAP if clock * highest < highest - 1 else 0
    if setting.clocks_mhz and (locked := setting.clocks_mhz[1] / highest) < clock:
        clock, throttle = locked, CLOCK_SETTING
        speed = min(speed, curves.speed_at_clock(locked))
        watts = min(watts, unlimited * curves.power_at_clock(locked))
    if setting.memory_clocks_mhz:
        locked = setting.memory_clocks_mhz[1] / board.memory_clocks_mhz[-1]
        speed *= curves.speed_at_memory_clock(locked)
        watts *= curves.power_at_memory_clock(locked)
    busy = share * load.demand * turn
    return Working(load, busy, speed * turn, busy * max(0.0, watts), round(clock * highest), throttle if busy else 0)


def idle_shares(board: BoardModel, slices: Mapping[str, int], loads: Sequence[Load]) -> dict[str, float]:
    """Return which share of the idle watts belongs to whom; what is missing to 1 belongs to nobody."""
    holders: dict[str | None, set[str]] = defaultdict(set)
    for load in loads:
        holders[load.mig_device].add(load.key)
    shares: dict[str, float] = defaultdict(float)
    for device, keys in holders.items():
        for key in keys:
            shares[key] += _share(board, slices, device) / len(keys)
    return dict(shares)


def follow(now: float, goal: float, seconds: float, constant: float = POWER_SECONDS) -> tuple[float, float]:
    """Return where a quantity is that follows its goal for some time, and its integral over that time."""
    rest = math.exp(-seconds / constant)
    return goal + (now - goal) * rest, goal * seconds + (now - goal) * constant * (1.0 - rest)


def temperature_goal(board: BoardModel, watts: float) -> float:
    """Return the temperature that a board has in the long run."""
    return AMBIENT_CELSIUS + RISE_CELSIUS * watts / board.max_limit_watts
