"""What stands for the agent, the clocks and NVML in tests of the exporter."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from ballast.api.finalreading import Training
from ballast.api.source import Component, Source
from ballast.exporter.readings import Readings, Share

EPOCH = 1_800_000_000.0


@dataclass
class Clock:
    """Both clocks, which a test advances."""

    seconds: float = 100.0

    def steady(self) -> float:
        return self.seconds

    def wall(self) -> float:
        return EPOCH + self.seconds

    def advance(self, seconds: float) -> None:
        self.seconds += seconds


def gpu_share(active: float, watts: float = 100.0, idle: float = 0.0, uuid: str = "GPU-1") -> Share:
    return Share(Component.GPU, active, idle, watts, Source.COUNTER, uuid=uuid, power_limit_watts=300.0)


@dataclass
class Agent:
    """Answers what it is told to: readings, or an error to raise."""

    clock: Clock
    answer: Exception | None = None
    active: float = 10.0
    since: float = EPOCH
    at: float | None = None
    pod_uid: str = "uid-1"
    asked: list[float] = field(default_factory=list)

    def ask(self, timeout_seconds: float) -> Readings:
        self.asked.append(self.clock.seconds)
        if self.answer is not None:
            raise self.answer
        at = self.clock.wall() if self.at is None else self.at
        return Readings(self.pod_uid, at, self.since, (gpu_share(self.active),))


class NvmlError(Exception):
    """NVML refuses."""


@dataclass
class Board:
    """One GPU as NVML tells of it; None is what it does not know."""

    uuid: str = "GPU-1"
    millijoules: int | None = 1_000_000
    milliwatts: int | None = 100_000
    limit: int | None = 300_000
    is_divided: bool = False


class Nvml:
    """The part of `pynvml` that the fallback calls; it has no call that changes anything."""

    NVMLError = NvmlError

    def __init__(self, *boards: Board) -> None:
        self.boards = boards
        self.open = 0

    def nvmlInit(self) -> None:  # noqa: N802
        self.open += 1

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.open -= 1

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Board:  # noqa: N802
        return self.boards[index]

    def nvmlDeviceGetUUID(self, board: Board) -> str:  # noqa: N802
        return board.uuid

    def nvmlDeviceGetMigMode(self, board: Board) -> list[int]:  # noqa: N802
        return [int(board.is_divided), 0]

    def nvmlDeviceGetTotalEnergyConsumption(self, board: Board) -> int:  # noqa: N802
        return _known(board.millijoules)

    def nvmlDeviceGetPowerUsage(self, board: Board) -> int:  # noqa: N802
        return _known(board.milliwatts)

    def nvmlDeviceGetPowerManagementLimit(self, board: Board) -> int:  # noqa: N802
        return _known(board.limit)


def _known(value: int | None) -> int:
    if value is None:
        raise NvmlError("not supported")
    return value


@dataclass
class Trainer:
    """A trainer's progress."""

    told: Training | None = None
    values: Mapping[str, float] = field(default_factory=dict)

    def training(self) -> Training | None:
        return self.told

    def metrics(self) -> Mapping[str, float]:
        return self.values
