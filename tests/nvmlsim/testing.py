"""Using the simulated NVML from a test: in the test's own process, or in one that it starts.

`pynvml` asks the loader for `libnvidia-ml.so.1`, and gets what is already loaded under that name: in this process ours
is loaded by its full path first. It finds its state file anew at each first `nvmlInit`.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import pynvml  # type: ignore[import-untyped]  # it ships no types

from tests.nvmlsim.boards import BoardModel
from tests.nvmlsim.build import library
from tests.nvmlsim.simulator import Simulator


@contextmanager
def nvml(
    folder: Path, boards: Sequence[BoardModel], *, mig: Mapping[int, Sequence[int]] | None = None, node: str = ""
) -> Iterator[Simulator]:
    """Give a simulator whose boards `pynvml` finds in this process; `nvmlInit` is the caller's.

    Args:
        folder: Where the state file goes, as pytest's `tmp_path`.
        boards: The GPUs.
        mig: Compute slices of each MIG device, by GPU.
        node: Makes UUIDs that differ from those of other nodes.
    """
    ctypes.CDLL(str(library()), mode=ctypes.RTLD_GLOBAL)
    before = os.environ.get("NVMLSIM_STATE")
    with Simulator.create(folder / "nvml" / "state", boards, mig=mig, node=node) as simulator:
        os.environ["NVMLSIM_STATE"] = str(simulator.path)
        try:
            yield simulator
        finally:
            _shut_down()
            if before is None:
                del os.environ["NVMLSIM_STATE"]
            else:
                os.environ["NVMLSIM_STATE"] = before


def environment(state_path: Path) -> dict[str, str]:
    """Return the environment of a process that shall find the boards of a state file."""
    folders = [str(library().parent), *filter(None, [os.environ.get("LD_LIBRARY_PATH")])]
    return {**os.environ, "NVMLSIM_STATE": str(state_path), "LD_LIBRARY_PATH": ":".join(folders)}


def _shut_down() -> None:
    """End every session that a test left open, so that the next begins anew."""
    with suppress(pynvml.NVMLError):
        while True:
            pynvml.nvmlShutdown()
