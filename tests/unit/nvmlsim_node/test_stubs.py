"""The rendered stubs are those of the `.proto` files."""

from __future__ import annotations

import pytest

from tests import protos


def test_they_are_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.argv", ["protos", "--check"])
    assert protos.main() == 0
