"""The simulated boards of one node: what tests and the daemon hold in hand.

A `Simulator` keeps nothing in itself: the state file holds what NVML tells, the ledger beside it loads and truth, so
any number of processes may attach to the same boards and see each other's doing. Invariant: nothing moves but by
`advance`; the same steps from the same state give the same joules.

Order of locks: the ledger's, then the state file's. Only the latter is one that the library waits for, so physics is
worked out before it is taken.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.nvmlsim import blocks, physics
from tests.nvmlsim import state as layout
from tests.nvmlsim.boards import MODELS, BoardModel
from tests.nvmlsim.curves import curve
from tests.nvmlsim.faults import SETTERS, Fault, FaultKind
from tests.nvmlsim.ledger import SAMPLE_US, TICK_US, GpuLedger, Ledger, LedgerFile
from tests.nvmlsim.physics import Load, Working
from tests.nvmlsim.state import State
from tests.nvmlsim.views import Call, Gpu, Truth

__all__ = ["Call", "Gpu", "Load", "Simulator", "Truth"]


class Simulator:
    """The simulated boards of one node."""

    def __init__(self, state: State, ledger: LedgerFile) -> None:
        self._state = state
        self._file = ledger

    @classmethod
    def create(
        cls,
        path: Path,
        boards: Sequence[BoardModel],
        *,
        mig: Mapping[int, Sequence[int]] | None = None,
        node: str = "",
        driver_version: str = "580.95.05",
    ) -> Self:
        """Put boards into a node; those that were there are replaced, as when its driver is loaded anew.

        Args:
            path: The state file.
            boards: The GPUs, in NVML's order.
            mig: Compute slices of each MIG device, by GPU: `{0: (3, 2, 1)}`.
            node: Makes UUIDs that differ from those of other nodes.
            driver_version: As NVML tells it.

        Raises:
            ValueError: Too many boards, one that is none of `boards.MODELS`, or MIG devices that it cannot have.
        """
        if not 0 < len(boards) <= layout.MAX_GPUS:
            raise ValueError(f"{len(boards)} boards: a node has 1 to {layout.MAX_GPUS}")
        divided = [tuple((mig or {}).get(index, ())) for index in range(len(boards))]
        for board, slices in zip(boards, divided, strict=True):
            blocks.check(board, slices)
        path.parent.mkdir(parents=True, exist_ok=True)
        file = LedgerFile(path)
        with file.held():
            state = State.create(path)
            now_us = time.time_ns() // 1000
            with state.locked() as block:
                block.driver = layout.DRIVER_LOADED
                block.generation = max(block.generation + 1, now_us & 0xFFFFFFFF)
                block.now_us, block.call_count, block.gpu_count = now_us, 0, len(boards)
                block.driver_version, block.nvml_version = driver_version.encode(), b"13." + driver_version.encode()
                block.cuda_version = 13000
                for rule in block.rules:
                    rule.kind = 0
                for index, board in enumerate(boards):
                    blocks.lay_out(block.gpus[index], board, f"{node}/{index}", divided[index])
            ledger = Ledger(started_us=now_us, boards=[board.name for board in boards])
            ledger.gpus = [GpuLedger() for _ in boards]
            file.write(ledger)
        return cls(state, file)

    @classmethod
    def attach(cls, path: Path) -> Self:
        """Use the boards that another process, or an earlier one, created.

        Raises:
            StateError: There are none.
        """
        return cls(State.open(path), LedgerFile(path))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of the files; the boards stay."""
        self._state.close()
        self._file.close()

    @property
    def path(self) -> Path:
        """The state file: what `$NVMLSIM_STATE` names."""
        return self._state.path

    @property
    def uuids(self) -> tuple[str, ...]:
        """UUIDs of the GPUs, in NVML's order."""
        with self._state.locked() as block:
            return tuple(blocks.text(block.gpus[i].board.uuid) for i in range(block.gpu_count))

    @property
    def now_seconds(self) -> float:
        """Simulated time since the boards were created."""
        with self._file.held():
            return self._file.read().elapsed_us / 1e6

    def mig_uuids(self, uuid: str) -> tuple[str, ...]:
        """Return the UUIDs of a GPU's MIG devices, in NVML's order."""
        return tuple(self._slices(self._index(uuid)))

    def model(self, uuid: str) -> BoardModel:
        """Return what a GPU is."""
        index = self._index(uuid)
        with self._file.held():
            return _model(self._file.read().boards[index])

    def set_load(self, uuid: str, loads: Sequence[Load]) -> None:
        """Say who holds a GPU from now on, and what they do; replaces what was said before.

        Raises:
            ValueError: A demand outside 0 to 1, a MIG device that the GPU has not, or none where it is divided.
            UnknownWorkload: Nothing was measured for a load's workload on this GPU model.
        """
        index = self._index(uuid)
        slices = self._slices(index)
        with self._file.held():
            ledger = self._file.read()
            gpu, board = ledger.gpus[index], _model(ledger.boards[index])
            for load in loads:
                _check(load, board, slices)
            gpu.take_up(loads)
            self._file.write(ledger)
            with self._state.locked() as block:
                blocks.publish_processes(block.gpus[index], loads, list(slices))

    def advance(self, seconds: float) -> None:
        """Let time pass: power, energy, temperature and samples follow what is set and loaded now."""
        with self._file.held():
            ledger = self._file.read()
            boards = [_model(name) for name in ledger.boards]
            work, shares = [], []
            for index, (gpu, board) in enumerate(zip(ledger.gpus, boards, strict=True)):
                slices = self._slices(index)
                work.append(self._working(ledger, index))
                shares.append(physics.idle_shares(board, slices, gpu.loads))
            samples: list[list[tuple[int, int, int]]] = [[] for _ in boards]
            until, ticked = ledger.elapsed_us + round(seconds * 1e6), False
            while ledger.elapsed_us < until:
                next_tick = (ledger.elapsed_us // TICK_US + 1) * TICK_US
                step_us = min(until, next_tick) - ledger.elapsed_us
                ledger.elapsed_us += step_us
                for gpu, board, share, one in zip(ledger.gpus, boards, shares, work, strict=True):
                    gpu.step(board, share, one, step_us / 1e6)
                if ledger.elapsed_us == next_tick:
                    ticked = True
                    for gpu in ledger.gpus:
                        gpu.tick()
                if not ledger.elapsed_us % SAMPLE_US:
                    now_us = ledger.started_us + ledger.elapsed_us
                    for found, gpu in zip(samples, ledger.gpus, strict=True):
                        found.extend((now_us, pid, percent) for pid, percent in gpu.sample())
            self._file.write(ledger)
            with self._state.locked() as block:
                block.now_us = ledger.started_us + ledger.elapsed_us
                for index, (gpu, board) in enumerate(zip(ledger.gpus, boards, strict=True)):
                    blocks.publish_samples(block.gpus[index], samples[index])
                    if ticked:
                        blocks.publish(block.gpus[index], gpu, board, work[index])

    def speed(self, uuid: str, key: str) -> float:
        """Return how fast a holder runs under what is set now.

        1 is as fast as alone on its part of the GPU at the maximum limit; noise in the measurements may be above.

        Raises:
            KeyError: It does not hold the GPU.
        """
        index = self._index(uuid)
        with self._file.held():
            work = self._working(self._file.read(), index)
        speeds = [one.speed for one in work if one.load.key == key]
        if not speeds:
            raise KeyError(f"{key!r} does not hold {uuid}")
        return min(speeds)

    def truth(self, uuid: str) -> Truth:
        """Return whose joules they were."""
        index = self._index(uuid)
        with self._file.held():
            return Truth.of(self._file.read().gpus[index])

    def gpu(self, uuid: str) -> Gpu:
        """Return a board as it stands."""
        model, index = self.model(uuid), self._index(uuid)
        with self._state.locked() as block:
            return Gpu.of(model, block.gpus[index])

    def set_power_limit(self, uuid: str, watts: float) -> None:
        """Set a power limit as another tool would: past the library, and not in `calls`.

        Raises:
            ValueError: It is outside the board's range.
        """
        model = self.model(uuid)
        if not model.min_limit_watts <= watts <= model.max_limit_watts:
            raise ValueError(f"{watts} W: {model.name} takes {model.min_limit_watts} to {model.max_limit_watts} W")
        with self._state.locked() as block:
            block.gpus[blocks.find(block, uuid)].control.limit_mw = round(watts * 1000)

    def lock_clocks(self, uuid: str, lowest_mhz: int, highest_mhz: int) -> None:
        """Lock the clocks, snapped to those that the board knows, as another tool would."""
        clocks = self.model(uuid).clocks_mhz
        self._lock_clocks(uuid, blocks.snap(clocks, lowest_mhz), blocks.snap(clocks, highest_mhz))

    def unlock_clocks(self, uuid: str) -> None:
        """Reset the lock of the clocks as another tool would."""
        self._lock_clocks(uuid, 0, 0)

    def lock_memory_clocks(self, uuid: str, lowest_mhz: int, highest_mhz: int) -> None:
        """Lock the memory clocks as another tool would."""
        clocks = self.model(uuid).memory_clocks_mhz
        self._lock_memory_clocks(uuid, blocks.snap(clocks, lowest_mhz), blocks.snap(clocks, highest_mhz))

    def unlock_memory_clocks(self, uuid: str) -> None:
        """Reset the lock of the memory clocks as another tool would."""
        self._lock_memory_clocks(uuid, 0, 0)

    def calls(self) -> tuple[Call, ...]:
        """Return the setters that the library saw, the oldest first; it remembers the last 1024."""
        with self._file.held():
            started_us = self._file.read().started_us
        with self._state.locked() as block:
            first = max(0, block.call_count - layout.MAX_CALLS)
            entries = [block.calls[place % layout.MAX_CALLS] for place in range(first, block.call_count)]
            return tuple(Call.of(entry, block, started_us) for entry in entries)

    def forget_calls(self) -> None:
        """Empty the log of calls."""
        with self._state.locked() as block:
            block.call_count = 0

    def inject(self, uuid: str | None, fault: Fault) -> None:
        """Let something go wrong.

        Args:
            uuid: The GPU that it befalls; None for all. The driver is one for all.
            fault: What happens.
        """
        indices = range(len(self.uuids)) if uuid is None else [self._index(uuid)]
        if fault.kind in (FaultKind.DRIVER_RESET, FaultKind.DRIVER_UNLOADED):
            self._reload(unload=fault.kind is FaultKind.DRIVER_UNLOADED)
        elif fault.kind is FaultKind.COUNTER_RESET:
            self._zero_counters(indices)
        elif fault.kind is FaultKind.LOST:
            with self._state.locked() as block:
                for index in indices:
                    block.gpus[index].readings.lost = 1
        else:
            kinds = {
                FaultKind.FAILS: layout.RULE_FAIL,
                FaultKind.DENIED: layout.RULE_DENY,
                FaultKind.SLOW: layout.RULE_SLOW,
            }
            value = fault.milliseconds if fault.kind is FaultKind.SLOW else fault.error
            calls = SETTERS if fault.kind is FaultKind.DENIED and not fault.call else (fault.call,)
            number = 0 if uuid is None else indices[0] + 1
            with self._state.locked() as block:
                free = [rule for rule in block.rules if not rule.kind]
                if len(free) < len(calls):
                    raise ValueError(f"more than {layout.MAX_RULES} faults at once: clear some")
                for rule, call in zip(free, calls, strict=False):
                    rule.call, rule.gpu, rule.value, rule.times = call.encode(), number, value, fault.times
                    rule.kind = kinds[fault.kind]

    def clear_faults(self) -> None:
        """End all faults: a lost GPU comes back as after a reset, and an unloaded driver is loaded."""
        with self._state.locked() as block:
            for rule in block.rules:
                rule.kind = 0
            unloaded = block.driver == layout.DRIVER_UNLOADED
            lost = [index for index in range(block.gpu_count) if block.gpus[index].readings.lost]
            for index in lost:
                blocks.reset(block.gpus[index])
        self._zero_counters(lost)
        if unloaded:
            self._reload(unload=False)

    def _lock_clocks(self, uuid: str, lowest_mhz: int, highest_mhz: int) -> None:
        with self._state.locked() as block:
            control = block.gpus[blocks.find(block, uuid)].control
            control.lock_min_mhz, control.lock_max_mhz = lowest_mhz, highest_mhz

    def _lock_memory_clocks(self, uuid: str, lowest_mhz: int, highest_mhz: int) -> None:
        with self._state.locked() as block:
            control = block.gpus[blocks.find(block, uuid)].control
            control.memory_lock_min_mhz, control.memory_lock_max_mhz = lowest_mhz, highest_mhz

    def _reload(self, *, unload: bool) -> None:
        with self._state.locked() as block:
            block.generation += 1
            block.driver = layout.DRIVER_UNLOADED if unload else layout.DRIVER_LOADED
            count = block.gpu_count
            for index in range(count):
                blocks.reset(block.gpus[index])
        self._zero_counters(range(count))

    def _zero_counters(self, indices: Sequence[int]) -> None:
        with self._file.held():
            ledger = self._file.read()
            for index in indices:
                ledger.gpus[index].counter_from_joules = ledger.gpus[index].drawn[-1]
            self._file.write(ledger)
            with self._state.locked() as block:
                for index in indices:
                    block.gpus[index].readings.energy_mj = 0

    def _index(self, uuid: str) -> int:
        with self._state.locked() as block:
            return blocks.find(block, uuid)

    def _slices(self, index: int) -> dict[str, int]:
        with self._state.locked() as block:
            board = block.gpus[index].board
            return {blocks.text(board.mig[i].uuid): board.mig[i].slices for i in range(board.mig_count)}

    def _working(self, ledger: Ledger, index: int) -> list[Working]:
        slices = self._slices(index)
        with self._state.locked() as block:
            setting = blocks.setting(block.gpus[index].control)
        return physics.working(_model(ledger.boards[index]), slices, ledger.gpus[index].loads, setting)


def _model(name: str) -> BoardModel:
    return next(model for model in MODELS.values() if model.name == name)


def _check(load: Load, board: BoardModel, slices: Mapping[str, int]) -> None:
    if not 0.0 <= load.demand <= 1.0:
        raise ValueError(f"the demand of {load.key!r} is {load.demand}: it is a share of the time, 0 to 1")
    if slices and load.mig_device not in slices:
        raise ValueError(f"{load.key!r} is on MIG device {load.mig_device}: this GPU has {', '.join(slices)}")
    if not slices and load.mig_device is not None:
        raise ValueError(f"{load.key!r} is on MIG device {load.mig_device}: this GPU is not divided")
    curve(board, load.workload)
