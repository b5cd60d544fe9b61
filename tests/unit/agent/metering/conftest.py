"""A node with one GPU."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.agent.metering.gpu_nodes import FakeGpu, GpuNode


@pytest.fixture
def gpu() -> FakeGpu:
    """A GPU that draws 100 W."""
    return FakeGpu()


@pytest.fixture
def node(tmp_path: Path, gpu: FakeGpu) -> GpuNode:
    """A node with that GPU; its agent has not read yet."""
    return GpuNode(tmp_path, gpu)
