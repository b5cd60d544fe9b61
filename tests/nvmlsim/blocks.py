"""Between Python and the blocks of the state file: laying a board out, resetting it, publishing what it reads.

Invariant: callers hold the state file's lock.
"""

from __future__ import annotations

import ctypes
import uuid as uuids
from collections.abc import Iterable, Sequence

from tests.nvmlsim import physics
from tests.nvmlsim import state as layout
from tests.nvmlsim.boards import MODELS, BoardModel
from tests.nvmlsim.ledger import TICK_SECONDS, GpuLedger
from tests.nvmlsim.physics import Load, Setting, Working
from tests.nvmlsim.state import ControlBlock, GpuBlock, StateBlock

_NAMESPACE = uuids.UUID("0d1c4ab5-7d6c-4a53-9a0e-6f1f0c3c5a3e")
_MIG_MEMORY_EIGHTHS = {1: 1, 2: 2, 3: 4, 4: 4, 7: 8}
"""Of the board's memory, by compute slices, as the vendor's profiles have it."""


def check(model: BoardModel, mig: Sequence[int]) -> None:
    """Make sure that there is such a board, and that it can be divided so.

    Raises:
        ValueError: There is none, or it cannot.
    """
    if model not in MODELS.values():
        raise ValueError(f"{model.name} as given is none of the boards that are simulated: take one of {list(MODELS)}")
    if mig and (sum(mig) > model.mig_slices or not set(mig) <= set(_MIG_MEMORY_EIGHTHS)):
        raise ValueError(
            f"{model.name} has {model.mig_slices} compute slices, and MIG devices of 1, 2, 3, 4 or 7: not {tuple(mig)}"
        )


def lay_out(block: GpuBlock, model: BoardModel, name: str, mig: Sequence[int]) -> None:
    """Write a board that was just put in: idle, at its defaults, counter at zero.

    Args:
        block: Where.
        model: What it is.
        name: From which its UUIDs are made.
        mig: Compute slices of each of its MIG devices.
    """
    ctypes.memset(ctypes.addressof(block), 0, ctypes.sizeof(block))
    board = block.board
    board.uuid, board.name = f"GPU-{uuids.uuid5(_NAMESPACE, name)}".encode(), model.name.encode()
    board.memory_bytes, board.architecture = model.memory_bytes, model.architecture
    board.compute_major, board.compute_minor = model.compute_capability
    board.capabilities = (
        layout.CAN_LOCK_CLOCKS
        | (layout.CAN_LOCK_MEMORY if model.locks_memory_clocks else 0)
        | (layout.CAN_MIG if model.mig_slices else 0)
        | (layout.AVERAGES_POWER if model.averages_power else 0)
    )
    board.min_limit_mw = round(model.min_limit_watts * 1000)
    board.max_limit_mw = round(model.max_limit_watts * 1000)
    board.default_limit_mw = round(model.default_limit_watts * 1000)
    board.slices, board.mig_enabled, board.mig_count = model.mig_slices, int(bool(mig)), len(mig)
    board.clock_count, board.memory_clock_count = len(model.clocks_mhz), len(model.memory_clocks_mhz)
    board.clocks_mhz[: board.clock_count] = model.clocks_mhz
    board.memory_clocks_mhz[: board.memory_clock_count] = model.memory_clocks_mhz
    for place, slices in enumerate(mig):
        device = board.mig[place]
        device.memory_bytes = model.memory_bytes * _MIG_MEMORY_EIGHTHS[slices] // 8
        profile = f"{slices}g.{device.memory_bytes // 2**30}gb"
        device.uuid = f"MIG-{uuids.uuid5(_NAMESPACE, f'{name}/{place}')}".encode()
        device.name = f"{model.name} MIG {profile}".encode()
        device.slices, device.gpu_instance = slices, place + 1
    reset(block)
    publish(block, GpuLedger(), model, [])


def reset(block: GpuBlock) -> None:
    """Give a board what it has after its driver was loaded: default limit, no locks, not lost, counter at zero."""
    ctypes.memset(ctypes.addressof(block.control), 0, ctypes.sizeof(block.control))
    block.control.limit_mw = block.board.default_limit_mw
    block.readings.lost = 0
    block.readings.energy_mj = 0


def publish(block: GpuBlock, gpu: GpuLedger, model: BoardModel, work: Sequence[Working]) -> None:
    """Write what a board tells after a tick; `work` is what its loads do now."""
    readings, control = block.readings, block.control
    busy = sum(one.busy for one in work)
    readings.energy_mj = round(max(0.0, gpu.drawn[-1] - gpu.counter_from_joules) * 1000)
    readings.power_mw = round((model.idle_watts + sum(gpu.active_watts)) * 1000)
    over_seconds = max(1, len(gpu.drawn) - 1) * TICK_SECONDS
    mean = (gpu.drawn[-1] - gpu.drawn[0]) / over_seconds if len(gpu.drawn) > 1 else model.idle_watts
    readings.average_power_mw = round(mean * 1000)
    readings.temperature_celsius = round(gpu.celsius)
    readings.utilization_percent = round(100 * min(1.0, busy))
    readings.memory_utilization_percent = readings.utilization_percent // 2
    at_work = [one for one in work if one.busy > 0]
    clock = min((one.clock_mhz for one in at_work), default=model.clocks_mhz[0])
    readings.clock_mhz = snap(model.clocks_mhz, max(clock, control.lock_min_mhz))
    locked = control.memory_lock_max_mhz
    readings.memory_clock_mhz = locked or model.memory_clocks_mhz[-1 if at_work else 0]
    readings.throttle_reasons = _any(one.throttle for one in at_work) if at_work else physics.GPU_IDLE


def publish_processes(block: GpuBlock, loads: Sequence[Load], devices: Sequence[str]) -> None:
    """Write which processes compute on a board."""
    processes = [
        (load.memory_bytes, pid, devices.index(load.mig_device) + 1 if load.mig_device else 0)
        for load in loads
        for pid in load.pids
    ][: layout.MAX_PROCESSES]
    block.process_count = len(processes)
    for place, process in enumerate(processes):
        block.processes[place] = layout.ProcessBlock(*process)


def publish_samples(block: GpuBlock, samples: Sequence[tuple[int, int, int]]) -> None:
    """Write what each process used until some time: microseconds, pid, percent."""
    for at_us, pid, percent in samples:
        block.samples[block.sample_count % layout.MAX_SAMPLES] = layout.SampleBlock(at_us, pid, percent, percent // 2)
        block.sample_count += 1


def setting(control: ControlBlock) -> Setting:
    """Return what is set on a board."""
    return Setting(
        limit_watts=control.limit_mw / 1000,
        clocks_mhz=lock(control.lock_min_mhz, control.lock_max_mhz),
        memory_clocks_mhz=lock(control.memory_lock_min_mhz, control.memory_lock_max_mhz),
    )


def lock(lowest_mhz: int, highest_mhz: int) -> tuple[int, int] | None:
    """Return a lock as a pair; None if there is none."""
    return (lowest_mhz, highest_mhz) if highest_mhz else None


def snap(clocks: Sequence[int], mhz: int) -> int:
    """Return the highest clock that is not above; the lowest if all are."""
    return max((clock for clock in clocks if clock <= mhz), default=clocks[0])


def find(block: StateBlock, uuid: str) -> int:
    """Return the place of a GPU.

    Raises:
        KeyError: There is none of that UUID.
    """
    for index in range(block.gpu_count):
        if text(block.gpus[index].board.uuid) == uuid:
            return index
    raise KeyError(f"no GPU {uuid!r} in this node")


def text(raw: bytes) -> str:
    """Return a C string."""
    return raw.decode()


def _any(bits: Iterable[int]) -> int:
    found = 0
    for bit in bits:
        found |= bit
    return found
