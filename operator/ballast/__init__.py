"""Ballast: training on Kubernetes inside an energy budget."""

from __future__ import annotations

from typing import Final

__version__: Final = "0.1.0"
"""The same as in pyproject.toml; to ask the installed package for it costs more memory than the agent has to give."""
