"""A made-up node on either version of control groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.nvmlsim_node.builders import FakeNode


@pytest.fixture(params=["v1", "v2"])
def node(request: pytest.FixtureRequest, tmp_path: Path) -> FakeNode:
    return FakeNode(tmp_path, v2=request.param == "v2")
