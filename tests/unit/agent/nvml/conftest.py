"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.agent.nvml.simulated import SimulatedNode, simulated_node


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SimulatedNode]:
    """A node whose boards the test chooses."""
    with simulated_node(tmp_path, monkeypatch) as node:
        yield node
