"""Text for a terminal: aligned columns, spans of time in words, and nothing in it that a terminal would obey.

What must hold: what came from a pod or an object reaches the terminal as visible characters, never as control codes.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from ballast.api.quantities import ENERGY, POWER

NOTHING = "-"
"""What stands in a table where nothing is known."""

_GAP = "  "


def table(header: Sequence[str], rows: Sequence[Sequence[str]], *, indent: str = "") -> list[str]:
    """Return the lines of a table whose columns begin under each other; no line ends in blanks."""
    widths = [max(len(cell) for cell in column) for column in zip(header, *rows, strict=True)]
    return [
        (indent + _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in (header, *rows)
    ]


def visible(text: str) -> str:
    """Return one line with every character replaced that is not printed: messages come from pods, too."""
    return "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)


def span(seconds: float) -> str:
    """Return a length of time in its two largest units, as in `1 h 42 min`."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes = round(seconds / 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 24 * 60:
        return _both(*divmod(minutes, 60), "h", "min")
    return _both(*divmod(round(seconds / 3600), 24), "d", "h")


def _both(large: int, small: int, unit: str, smaller: str) -> str:
    return f"{large} {unit} {small} {smaller}" if small else f"{large} {unit}"


def ago(time: datetime, now: float) -> str:
    """Return when something was, and how long ago; a clock that is behind has it just now."""
    return f"{clock(time)} ({span(max(now - time.timestamp(), 0.0))} ago)"


def until(time: datetime, now: float) -> str:
    """Return when something will be, and in how long; what should have been is due."""
    left = time.timestamp() - now
    return f"{clock(time)} ({f'in {span(left)}' if left > 0 else 'due'})"


def clock(time: datetime) -> str:
    """Return a moment in UTC."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC")


def joules(value: float | None) -> str:
    """Return an energy with a unit for people."""
    return ENERGY.human(value) if value is not None else NOTHING


def watts(value: float | None) -> str:
    """Return a power with a unit for people."""
    return POWER.human(value) if value is not None else NOTHING


def signed_percent(value: float) -> str:
    """Return by how many percent something is more, or less."""
    return f"{value:+.1f}".removesuffix(".0") + " %" if value else "0 %"
