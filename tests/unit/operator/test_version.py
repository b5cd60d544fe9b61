"""The code knows its version, and it is the one under which it is installed."""

from __future__ import annotations

import tomllib
from pathlib import Path

import ballast

PYPROJECT = Path(__file__).resolve().parents[3] / "pyproject.toml"


def test_it_is_that_of_the_project() -> None:
    assert ballast.__version__ == tomllib.loads(PYPROJECT.read_text())["project"]["version"]
