"""Boards that the real `pynvml` finds in this process."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pynvml  # type: ignore[import-untyped]
import pytest

from tests.nvmlsim.boards import A40, A100, H100, V100
from tests.nvmlsim.simulator import Simulator
from tests.nvmlsim.testing import nvml


@pytest.fixture
def sim(tmp_path: Path) -> Iterator[Simulator]:
    """One board of each model, the A100 divided into 3, 2 and 1 slices; `nvmlInit` was called."""
    with nvml(tmp_path, [V100, A40, A100, H100], mig={2: (3, 2, 1)}) as simulator:
        pynvml.nvmlInit()
        yield simulator
