"""A capper over GPUs in memory, its folder, its clock, and its death at any failpoint."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ballast.agent.capping.assignments import Wanted
from ballast.agent.capping.capper import Capper, GpuState
from ballast.agent.capping.originals import Originals
from ballast.agent.device import Sample
from ballast.api.operatingpoint import OperatingPoint
from tests.unit.agent.fake_gpu import MHZ, Board, FakeDriver

BOOT = "6f1e3a52-boot"
FAILPOINTS = [
    f"{when}:{step}"
    for step in (
        "originals.save",
        "limit.set",
        "clocks.lock",
        "memory.lock",
        "limit.restore",
        "clocks.restore",
        "memory.restore",
        "originals.clear",
    )
    for when in ("before", "after")
]


class Died(BaseException):
    """Stands for SIGKILL."""


class Failpoint:
    """Dies at the armed failpoint, once."""

    def __init__(self) -> None:
        self.armed: str | None = None
        self.passed: list[str] = []

    def passing(self, name: str) -> None:
        self.passed.append(name)
        if name == self.armed:
            self.armed = None
            raise Died


def point(watts: float | None = None, clock: int | None = None, memory: int | None = None) -> OperatingPoint:
    """An operating point; clocks in MHz, locked from 210 MHz on."""
    return OperatingPoint(
        power_limit_watts=watts,
        min_clock_hertz=210 * MHZ if clock is not None else None,
        max_clock_hertz=clock * MHZ if clock is not None else None,
        memory_clock_hertz=memory * MHZ if memory is not None else None,
    )


def wanted(**points: OperatingPoint | None) -> dict[str, Wanted]:
    """What GPUs shall have: `wanted(a=point(150))`."""
    return {uuid: Wanted(one) for uuid, one in points.items()}


class Capping:
    """A node with GPUs and a capper that may die.

    Args:
        folder: the node's disk.
        *uuids: its GPUs.
    """

    def __init__(self, folder: Path, *uuids: str) -> None:
        self.folder = folder
        self.boot = BOOT
        self.driver = FakeDriver(*(Board(uuid) for uuid in uuids))
        self.now = 1000.0
        self.failpoint = Failpoint()
        self._originals: Originals | None = None
        self.start()

    def start(self) -> None:
        """A new process: nothing of the old one's memory is left."""
        if self._originals is not None:
            self._originals.close()
        self._originals = Originals(self.folder, self.boot)
        self.capper = Capper(self.driver, self._originals, lambda: self.now, self.failpoint)

    def close(self) -> None:
        """End the process."""
        if self._originals is not None:
            self._originals.close()
            self._originals = None

    def board(self, uuid: str) -> Board:
        """What the board itself knows."""
        return self.driver[uuid]

    def reconcile(
        self, samples: Mapping[str, Sample] | None = None, **points: OperatingPoint | None
    ) -> Mapping[str, GpuState]:
        """One round."""
        return self.capper.reconcile(wanted(**points), samples)

    def files(self) -> list[str]:
        """Names of the kept originals."""
        return sorted(path.name for path in self.folder.glob(f"originals/{self.boot}/*"))
