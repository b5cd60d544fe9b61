"""When a figure has changed so much that it is worth a write, and how it is rounded then.

What must hold: a dead band is wider than the rounding of what is told, so that a figure that stays is told once, and
one that wavers around a round number is not told back and forth.
"""

from __future__ import annotations

import math
import re
from typing import Final

NUMBER: Final = re.compile(r"\d[\d,]*(?:\.\d+)?")
"""A number in a sentence: what is left of two sentences without theirs tells whether they say the same."""


def is_elsewhere(told: float | None, now: float | None, share: float, least: float = 0.0) -> bool:
    """Return whether a figure has left the dead band around what was told of it; unknown is elsewhere than any number.

    Args:
        told: what stands in the status.
        now: what is known now.
        share: half the band's width, as a share of the larger of both.
        least: the least half width.
    """
    if told is None or now is None:
        return told is not now
    return abs(now - told) > max(share * max(abs(told), abs(now)), least)


def significant(value: float, digits: int) -> float:
    """Return a number rounded to so many significant digits; one at the end of what a float holds stays as it is."""
    rounded = float(f"{value:.{digits - 1}e}")
    return rounded if math.isfinite(rounded) else value


def usable(value: float | None, least: float = -math.inf, most: float = math.inf) -> float | None:
    """Return a figure that somebody reported if it can be told, else None."""
    return value if value is not None and math.isfinite(value) and least <= value <= most else None
