"""A node with simulated GPUs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agent_restore.gpu_node import FOUND, GpuNode


@pytest.fixture
def node(tmp_path: Path) -> Iterator[GpuNode]:
    """A node whose GPUs have what an admin has set; nobody but the test touches the third."""
    it = GpuNode(tmp_path)
    assert it.settings() == FOUND
    yield it
    it.gpus.close()
