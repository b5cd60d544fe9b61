"""Ballast: training on Kubernetes inside an energy budget."""

from __future__ import annotations

from importlib import metadata


def version() -> str:
    """Return the installed version; a checkout that is not installed has none."""
    try:
        return metadata.version("ballast")
    except metadata.PackageNotFoundError:
        return "unknown"
