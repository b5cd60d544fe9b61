"""Figures as people and machines want to read them."""

from __future__ import annotations

import math
from collections.abc import Mapping


def rounded(value: object) -> object:
    """``value`` with floats cut to six digits, deeply; not-a-number as text, which JSON cannot write otherwise."""
    if isinstance(value, float):
        return float(f"{value:.6g}") if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {key: rounded(inner) for key, inner in value.items()}
    return value
