"""The real `pynvml` on simulated boards, in this process."""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from ballast.agent.nvml.driver import NvmlDriver
from ballast.clock import steady_seconds
from tests.nvmlsim.boards import BoardModel
from tests.nvmlsim.build import library
from tests.nvmlsim.simulator import Simulator


class SimulatedNode:
    """Boards, and the driver that NVML finds there.

    Args:
        folder: for the boards' state.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()

    def boards(self, *boards: BoardModel, mig: dict[int, Sequence[int]] | None = None) -> Simulator:
        """Put boards into the node."""
        return self._stack.enter_context(Simulator.create(self._folder / "state", boards, mig=mig))

    def driver(self, clock: Callable[[], float] = steady_seconds) -> NvmlDriver:
        """Open the driver; it is closed at the end, since NVML is one for the whole process."""
        driver = NvmlDriver(clock=clock)
        self._stack.callback(driver.close)
        return driver

    def close(self) -> None:
        """End it."""
        self._stack.close()


@contextmanager
def simulated_node(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedNode]:
    """Let NVML find the boards in a folder."""
    ctypes.CDLL(str(library()))  # now `libnvidia-ml.so.1` is this one, wherever it is
    monkeypatch.setenv("NVMLSIM_STATE", str(folder / "state"))
    node = SimulatedNode(folder)
    try:
        yield node
    finally:
        node.close()
