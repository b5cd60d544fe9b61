"""The state file means the same to the library and to Python."""

from __future__ import annotations

import ctypes

from tests.nvmlsim import state
from tests.nvmlsim.build import library


def test_every_block_has_the_size_and_place_that_c_gives_it() -> None:
    """A field that one side adds or moves shows here."""
    sizes = [
        ctypes.sizeof(state.StateBlock),
        state.StateBlock.gpus.offset,
        state.StateBlock.calls.offset,
        ctypes.sizeof(state.GpuBlock),
        ctypes.sizeof(state.BoardBlock),
        ctypes.sizeof(state.MigDeviceBlock),
        ctypes.sizeof(state.ReadingsBlock),
        ctypes.sizeof(state.RuleBlock),
        ctypes.sizeof(state.CallBlock),
        state.GpuBlock.readings.offset,
        state.GpuBlock.samples.offset,
        ctypes.sizeof(state.SampleBlock),
        ctypes.sizeof(state.ProcessBlock),
        state.GpuBlock.processes.offset,
        ctypes.sizeof(state.ControlBlock),
    ]
    told = (ctypes.c_ulong * len(sizes)).in_dll(ctypes.CDLL(str(library())), "nvmlsimLayout")
    assert list(told) == sizes
