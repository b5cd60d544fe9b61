"""Declares the marker of tests that need a tool to build images with."""

from __future__ import annotations

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "images: builds small images with the real tools; needs root on Linux")
