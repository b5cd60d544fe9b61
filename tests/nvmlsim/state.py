"""The state file as Python sees it: the layout of library/state.h in ctypes, its mapping, and its lock.

Invariant: whoever touches a field holds the lock (`State.locked`), and holds it briefly: the library waits for it. The
kernel lets go of it when its holder is killed. The file is laid out once; a new set of boards is written into the same
file where there is one, under a new generation, so that a container into which it is mounted sees the change.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

MAGIC = 0x314D49534C4D564E
LAYOUT = 1
MAX_GPUS, MAX_MIG, MAX_CLOCKS, MAX_MEMORY_CLOCKS = 16, 7, 256, 8
MAX_PROCESSES, MAX_SAMPLES, MAX_RULES, MAX_CALLS = 128, 1024, 32, 1024
UUID_LENGTH, NAME_LENGTH = 48, 64

DRIVER_LOADED, DRIVER_UNLOADED, DRIVER_REPLACED = 1, 2, 3
CAN_LOCK_CLOCKS, CAN_LOCK_MEMORY, CAN_MIG, AVERAGES_POWER = 1, 2, 4, 8
RULE_FAIL, RULE_SLOW, RULE_DENY = 1, 2, 3

_u32, _u64 = ctypes.c_uint32, ctypes.c_uint64


class StateError(Exception):
    """The state file is missing, is none, or has another layout; the message says which."""


class MigDeviceBlock(ctypes.Structure):
    """`struct mig_device`."""

    _fields_ = [
        ("uuid", ctypes.c_char * UUID_LENGTH), ("name", ctypes.c_char * NAME_LENGTH), ("slices", _u32),
        ("gpu_instance", _u32), ("compute_instance", _u32), ("reserved", _u32), ("memory_bytes", _u64),
    ]  # fmt: skip


class BoardBlock(ctypes.Structure):
    """`struct board`."""

    _fields_ = [
        ("uuid", ctypes.c_char * UUID_LENGTH), ("name", ctypes.c_char * NAME_LENGTH), ("memory_bytes", _u64),
        ("architecture", _u32), ("compute_major", _u32), ("compute_minor", _u32), ("capabilities", _u32),
        ("min_limit_mw", _u32), ("max_limit_mw", _u32), ("default_limit_mw", _u32), ("slices", _u32),
        ("mig_enabled", _u32), ("mig_count", _u32), ("clock_count", _u32), ("memory_clock_count", _u32),
        ("clocks_mhz", _u32 * MAX_CLOCKS), ("memory_clocks_mhz", _u32 * MAX_MEMORY_CLOCKS),
        ("mig", MigDeviceBlock * MAX_MIG),
    ]  # fmt: skip


class ControlBlock(ctypes.Structure):
    """`struct control`: what callers set."""

    _fields_ = [
        ("limit_mw", _u32), ("lock_min_mhz", _u32), ("lock_max_mhz", _u32), ("memory_lock_min_mhz", _u32),
        ("memory_lock_max_mhz", _u32), ("reserved", _u32),
    ]  # fmt: skip


class ReadingsBlock(ctypes.Structure):
    """`struct readings`: what the board tells."""

    _fields_ = [
        ("energy_mj", _u64), ("throttle_reasons", _u64), ("memory_used_bytes", _u64), ("power_mw", _u32),
        ("average_power_mw", _u32), ("clock_mhz", _u32), ("memory_clock_mhz", _u32), ("temperature_celsius", _u32),
        ("utilization_percent", _u32), ("memory_utilization_percent", _u32), ("lost", _u32),
    ]  # fmt: skip


class ProcessBlock(ctypes.Structure):
    """`struct process`."""

    _fields_ = [("memory_bytes", _u64), ("pid", _u32), ("mig", _u32)]


class SampleBlock(ctypes.Structure):
    """`struct sample`."""

    _fields_ = [
        ("at_us", _u64), ("pid", _u32), ("sm_percent", _u32), ("memory_percent", _u32), ("reserved", _u32),
    ]  # fmt: skip


class GpuBlock(ctypes.Structure):
    """`struct gpu`."""

    _fields_ = [
        ("board", BoardBlock), ("control", ControlBlock), ("readings", ReadingsBlock), ("process_count", _u32),
        ("reserved", _u32), ("sample_count", _u64), ("processes", ProcessBlock * MAX_PROCESSES),
        ("samples", SampleBlock * MAX_SAMPLES),
    ]  # fmt: skip


class RuleBlock(ctypes.Structure):
    """`struct rule`: a fault."""

    _fields_ = [
        ("call", ctypes.c_char * NAME_LENGTH), ("kind", _u32), ("gpu", _u32), ("value", _u32), ("times", _u32),
    ]  # fmt: skip


class CallBlock(ctypes.Structure):
    """`struct call`: a setter that was called."""

    _fields_ = [
        ("name", ctypes.c_char * NAME_LENGTH), ("at_us", _u64), ("pid", _u32), ("gpu", _u32), ("argument_count", _u32),
        ("arguments", _u32 * 2), ("result", _u32),
    ]  # fmt: skip


class StateBlock(ctypes.Structure):
    """`struct state`: the whole file."""

    _fields_ = [
        ("magic", _u64), ("layout", _u32), ("driver", _u32), ("generation", _u64), ("now_us", _u64),
        ("driver_version", ctypes.c_char * NAME_LENGTH), ("nvml_version", ctypes.c_char * NAME_LENGTH),
        ("cuda_version", _u32), ("gpu_count", _u32), ("call_count", _u64), ("rules", RuleBlock * MAX_RULES),
        ("calls", CallBlock * MAX_CALLS), ("gpus", GpuBlock * MAX_GPUS),
    ]  # fmt: skip


SIZE = ctypes.sizeof(StateBlock)


class State:
    """The mapped state file; `block` is its content."""

    def __init__(self, path: Path, file: int) -> None:
        self.path = path
        self._file = file
        self._threads = threading.Lock()
        self._map = mmap.mmap(file, SIZE)
        self.block = StateBlock.from_buffer(self._map)

    @classmethod
    def create(cls, path: Path) -> Self:
        """Make an empty state file, or take the one that is there; what it holds is the caller's to replace.

        A file of another layout is told that it is replaced, and its place taken by a new one.
        """
        with suppress(StateError):
            return cls.open(path)
        _retire(path)
        part = path.with_name(f".{path.name}.{os.getpid()}")
        file = os.open(part, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(file, 0o644)
            os.ftruncate(file, SIZE)
            state = cls(path, file)
            state.block.magic, state.block.layout = MAGIC, LAYOUT
            state.block.driver = DRIVER_UNLOADED
            part.rename(path)
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        return state

    @classmethod
    def open(cls, path: Path) -> Self:
        """Map an existing file.

        Raises:
            StateError: There is none, or it has another layout.
        """
        try:
            file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise StateError(f"no simulated NVML at {path}: {error.strerror}") from error
        if os.fstat(file).st_size != SIZE:
            os.close(file)
            raise StateError(f"{path} is not a simulated NVML of this layout: create it anew")
        state = cls(path, file)
        if state.block.magic != MAGIC or state.block.layout != LAYOUT:
            state.close()
            raise StateError(f"{path} is not a simulated NVML of this layout: create it anew")
        return state

    @contextmanager
    def locked(self) -> Iterator[StateBlock]:
        """Hold the lock on the file: all that is read and written meanwhile fits together."""
        with self._threads:
            fcntl.flock(self._file, fcntl.LOCK_EX)
            try:
                yield self.block
            finally:
                fcntl.flock(self._file, fcntl.LOCK_UN)

    def close(self) -> None:
        """Let go of the mapping; the file stays."""
        if self._file < 0:
            return
        del self.block
        self._map.close()
        os.close(self._file)
        self._file = -1


def _retire(path: Path) -> None:
    """Tell those who have an old file mapped that its driver is gone."""
    with suppress(OSError), path.open("r+b") as old:
        fcntl.flock(old, fcntl.LOCK_EX)
        offset = StateBlock.driver.offset
        if os.fstat(old.fileno()).st_size >= offset + 4:
            old.seek(offset)
            old.write(DRIVER_REPLACED.to_bytes(4, "little"))
