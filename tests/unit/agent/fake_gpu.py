"""GPUs in memory behind the vendor seam: what boards have, every call that changes them, what goes wrong on demand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from ballast.agent.device import (
    Description,
    DeviceError,
    DeviceLost,
    DriverGone,
    OutOfRange,
    Process,
    ProcessUsage,
    Range,
    Sample,
)
from ballast.api.nodestatus import Capability

MHZ = 1_000_000
LOWEST_WATTS, HIGHEST_WATTS, DEFAULT_WATTS, FOUND_WATTS = 100.0, 300.0, 250.0, 230.0
CLOCKS = tuple(mhz * MHZ for mhz in (210, 600, 900, 1200, 1410))
MEMORY_CLOCKS = tuple(mhz * MHZ for mhz in (405, 810, 1215))
ALL_CAPABILITIES = frozenset(Capability)


def description(uuid: str = "GPU-0", **changes: object) -> Description:
    """A GPU that can do everything."""
    whole = Description(
        uuid=uuid,
        model="NVIDIA-Fake",
        memory_bytes=1 << 34,
        capabilities=ALL_CAPABILITIES,
        power_limit_watts=Range(LOWEST_WATTS, HIGHEST_WATTS),
        default_power_limit_watts=DEFAULT_WATTS,
        clock_hertz=Range(CLOCKS[0], CLOCKS[-1]),
        clocks_hertz=CLOCKS,
        memory_clocks_hertz=MEMORY_CLOCKS,
    )
    return replace(whole, **changes)  # type: ignore[arg-type]


@dataclass
class Fault:
    """What a call does instead.

    Attributes:
        error: raised.
        is_done: whether the board does what it was asked all the same.
        times: how often; None for ever.
    """

    error: DeviceError
    is_done: bool = False
    times: int | None = None


@dataclass
class Board:
    """What a board has, as only the board knows it."""

    uuid: str
    limit_watts: float = FOUND_WATTS
    clocks: tuple[int, int] | None = None
    memory_clock: int | None = None
    is_lost: bool = False
    calls: list[tuple[str, object]] = field(default_factory=list)  # that change it
    looks: int = 0  # calls that do not
    faults: dict[str, Fault] = field(default_factory=dict)
    description: Description | None = None
    on_change: Callable[[], None] = lambda: None

    @property
    def settings(self) -> tuple[object, ...]:
        """All that can be set."""
        return self.limit_watts, self.clocks, self.memory_clock

    def reset(self) -> None:
        """Have what the board has after a reset."""
        self.limit_watts, self.clocks, self.memory_clock = DEFAULT_WATTS, None, None


class FakeDevice:
    """A handle of a board."""

    def __init__(self, driver: FakeDriver, board: Board) -> None:
        self._driver = driver
        self._generation = driver.generation
        self._board = board
        self.uuid = board.uuid

    def describe(self) -> Description:
        self._look("describe")
        return self._board.description or description(self.uuid)

    def sample(self) -> Sample:
        raise NotImplementedError

    def read_energy(self) -> Sample:
        raise NotImplementedError

    def processes(self) -> tuple[Process, ...]:
        raise NotImplementedError

    def usage_since(self, microseconds: int) -> tuple[ProcessUsage, ...]:
        raise NotImplementedError

    def power_limit_watts(self) -> float:
        self._look("power_limit_watts")
        return self._board.limit_watts

    def set_power_limit(self, watts: float) -> None:
        def change() -> None:
            self._board.limit_watts = round(watts, 3)

        if not LOWEST_WATTS <= watts <= HIGHEST_WATTS:
            raise OutOfRange(f"{watts} W")
        self._change("set_power_limit", watts, change)

    def lock_clocks(self, lowest_hertz: int, highest_hertz: int) -> None:
        def change() -> None:
            self._board.clocks = (lowest_hertz, highest_hertz)

        self._change("lock_clocks", (lowest_hertz, highest_hertz), change)

    def unlock_clocks(self) -> None:
        def change() -> None:
            self._board.clocks = None

        self._change("unlock_clocks", None, change)

    def lock_memory_clock(self, hertz: int) -> None:
        def change() -> None:
            self._board.memory_clock = hertz

        self._change("lock_memory_clock", hertz, change)

    def unlock_memory_clock(self) -> None:
        def change() -> None:
            self._board.memory_clock = None

        self._change("unlock_memory_clock", None, change)

    def _reach(self) -> None:
        if self._driver.is_gone or self._generation != self._driver.generation:
            raise DriverGone("the driver was reloaded")
        if self._board.is_lost:
            raise DeviceLost(f"{self.uuid} fell off the bus")

    def _look(self, name: str) -> None:
        self._reach()
        self._board.looks += 1
        fault = self._fault(name)
        if fault is not None:
            raise fault.error

    def _change(self, name: str, value: object, change: Callable[[], None]) -> None:
        self._reach()
        self._board.calls.append((name, value))
        fault = self._fault(name)
        if fault is None or fault.is_done:
            change()
            self._board.on_change()
        if fault is not None:
            raise fault.error

    def _fault(self, name: str) -> Fault | None:
        fault = self._board.faults.get(name)
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                del self._board.faults[name]
        return fault


class FakeDriver:
    """The driver of some boards."""

    version: str | None = "1.0"

    def __init__(self, *boards: Board) -> None:
        self.boards = {board.uuid: board for board in boards}
        self.is_gone = False
        self.generation = 0

    def __getitem__(self, uuid: str) -> Board:
        return self.boards[uuid]

    def devices(self) -> list[FakeDevice]:
        if self.is_gone:
            raise DriverGone("the driver was reloaded")
        return [FakeDevice(self, board) for board in self.boards.values() if not board.is_lost]

    def reload(self) -> None:
        """Unload and load the driver: boards forget what was set, handles are void until `reopen`."""
        self.is_gone = True
        for board in self.boards.values():
            board.reset()

    def reopen(self) -> None:
        self.is_gone = False
        self.generation += 1

    def close(self) -> None:
        """Nothing to let go of."""

    def forget_calls(self) -> None:
        """Begin to note calls anew."""
        for board in self.boards.values():
            board.calls.clear()
            board.looks = 0
