"""Handles and errors, in the words of the tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.nvmlsim import curves
from tests.nvmlsim.simulator import Simulator

V100_INDEX, A40_INDEX, A100_INDEX, H100_INDEX = 0, 1, 2, 3

needs_data = pytest.mark.skipif(not curves.data_folder().is_dir(), reason="the measurements are not there")
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="setters need root")


def handle(sim: Simulator, index: int) -> Any:
    """Return the handle of a board."""
    return pynvml.nvmlDeviceGetHandleByUUID(sim.uuids[index])


@contextmanager
def refused(error: int) -> Iterator[None]:
    """What is done within is answered with this NVML error, and no other."""
    with pytest.raises(pynvml.NVMLError) as caught:
        yield
    assert caught.value.value == error
