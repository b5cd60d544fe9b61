"""What the simulator remembers beside the state file: loads, and the truth about joules. No board tells this.

It is a file of its own (`<state>.truth`), because the state file is mounted into containers and the truth must stay
where the agent cannot read it. Invariant: it is replaced whole, under the lock that every simulator of this state file
takes, so any process that attaches finds all there is.
"""

from __future__ import annotations

import fcntl
import json
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.nvmlsim import physics
from tests.nvmlsim.boards import BoardModel
from tests.nvmlsim.physics import AMBIENT_CELSIUS, Load, Working

TICK_US = 100_000
"""Readings and counters move this often."""
TICK_SECONDS = TICK_US / 1e6
SAMPLE_US = 1_000_000
"""Processes are sampled this often; the averaged power is averaged over as long."""
TICKS_AVERAGED = SAMPLE_US // TICK_US


@dataclass
class GpuLedger:
    """One GPU.

    Attributes:
        active_watts: What each load draws above idle now, by its place in `loads`.
        busy_seconds: For how long each load kept it busy since the last sample of its processes.
        total_joules: All that it drew; `active_joules` and `idle_joules` are of holders, by key.
        counter_from_joules: What it had drawn when its energy counter was zero.
        drawn: Joules that it had drawn at each of the last ticks, the present one last.
    """

    loads: list[Load] = field(default_factory=list)
    active_watts: list[float] = field(default_factory=list)
    busy_seconds: list[float] = field(default_factory=list)
    total_joules: float = 0.0
    unattributed_joules: float = 0.0
    active_joules: dict[str, float] = field(default_factory=dict)
    idle_joules: dict[str, float] = field(default_factory=dict)
    counter_from_joules: float = 0.0
    drawn: list[float] = field(default_factory=lambda: [0.0])
    celsius: float = AMBIENT_CELSIUS

    def take_up(self, loads: Sequence[Load]) -> None:
        """Replace the loads; one that was there before draws what it drew."""
        before = {
            (load.key, load.mig_device): (watts, busy)
            for load, watts, busy in zip(self.loads, self.active_watts, self.busy_seconds, strict=True)
        }
        kept = [before.get((load.key, load.mig_device), (0.0, 0.0)) for load in loads]
        self.loads = list(loads)
        self.active_watts = [watts for watts, _ in kept]
        self.busy_seconds = [busy for _, busy in kept]

    def step(
        self, board: BoardModel, idle_shares: Mapping[str, float], work: Sequence[Working], seconds: float
    ) -> None:
        """Let time pass under loads that do `work`, within one tick."""
        idle = board.idle_watts * seconds
        total = idle
        for place, one in enumerate(work):
            key = one.load.key
            self.active_watts[place], joules = physics.follow(self.active_watts[place], one.active_watts, seconds)
            self.busy_seconds[place] += one.busy * seconds
            self.active_joules[key] = self.active_joules.get(key, 0.0) + joules
            total += joules
        for key, share in idle_shares.items():
            self.idle_joules[key] = self.idle_joules.get(key, 0.0) + share * idle
        self.unattributed_joules += (1.0 - sum(idle_shares.values())) * idle
        self.total_joules += total
        goal = physics.temperature_goal(board, total / seconds)
        self.celsius, _ = physics.follow(self.celsius, goal, seconds, physics.TEMPERATURE_SECONDS)

    def tick(self) -> None:
        """Read the sensors: what the board tells from now on."""
        self.drawn = [*self.drawn[-TICKS_AVERAGED:], self.total_joules]

    def sample(self) -> list[tuple[int, int]]:
        """Return what each process used since the last time, in percent; a load's processes have equal parts."""
        used = [
            (pid, round(100 * busy / len(load.pids)))
            for load, busy in zip(self.loads, self.busy_seconds, strict=True)
            for pid in load.pids
        ]
        self.busy_seconds = [0.0] * len(self.loads)
        return [(pid, percent) for pid, percent in used if percent]


@dataclass
class Ledger:
    """All GPUs of a state file; `boards` are their models' names."""

    started_us: int
    elapsed_us: int = 0
    boards: list[str] = field(default_factory=list)
    gpus: list[GpuLedger] = field(default_factory=list)


class LedgerFile:
    """The ledger on disk, and the lock of all simulators."""

    def __init__(self, state_path: Path) -> None:
        self._path = state_path.with_name(state_path.name + ".truth")
        self._lock_path = state_path.with_name(state_path.name + ".lock")
        self._lock = os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        self._threads = threading.RLock()
        self._depth = 0
        self._seen: tuple[int, int] | None = None
        self._ledger: Ledger | None = None

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold the lock: other simulators of this state file wait. It may be taken again by who holds it."""
        with self._threads:
            if not self._depth:
                fcntl.flock(self._lock, fcntl.LOCK_EX)
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1
                if not self._depth:
                    fcntl.flock(self._lock, fcntl.LOCK_UN)

    def read(self) -> Ledger:
        """Return what is on disk; the lock is held."""
        found = self._stamp()
        if self._ledger is None or found != self._seen:
            self._ledger = _parse(json.loads(self._path.read_text()))
            self._seen = found
        return self._ledger

    def write(self, ledger: Ledger) -> None:
        """Replace what is on disk; the lock is held."""
        part = self._path.with_name(f".{self._path.name}.part")
        with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(json.dumps(ledger, default=vars))
        part.rename(self._path)
        self._ledger, self._seen = ledger, self._stamp()

    def close(self) -> None:
        """Let go of the lock's file."""
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1

    def _stamp(self) -> tuple[int, int]:
        found = self._path.stat()
        return found.st_ino, found.st_mtime_ns


def _parse(document: dict[str, Any]) -> Ledger:
    gpus = []
    for gpu in document.pop("gpus"):
        loads = [Load(**{**load, "pids": tuple(load["pids"])}) for load in gpu.pop("loads")]
        gpus.append(GpuLedger(loads=loads, **gpu))
    return Ledger(gpus=gpus, **document)
