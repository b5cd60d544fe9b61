"""GPUs in memory and a capper over them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.agent.capping import Capping


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Capping]:
    """A node with GPUs `a`, `b` and `c`."""
    it = Capping(tmp_path, "a", "b", "c")
    yield it
    it.close()
