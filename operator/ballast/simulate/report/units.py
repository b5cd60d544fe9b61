"""Figures as people read them: kilowatt-hours and hours, with as many digits as mean something.

What must hold: all cells of a column have one unit and as many decimals as each other, so that they can be compared by
eye; base units stay in JSON and CSV.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import Enum

from ballast.simulate.comparison.comparison import Interval

NOTHING = "-"


class Quantity(Enum):
    """What a figure is."""

    ENERGY = "energy"
    TIME = "time"
    MASS = "mass"
    POWER = "power"
    MONEY = "money"
    PERCENT = "percent"
    COUNT = "count"


_UNITS: Mapping[Quantity, tuple[tuple[str, float, float], ...]] = {
    Quantity.ENERGY: (("Wh", 3.6e3, 0.0), ("kWh", 3.6e6, 3.6e5), ("MWh", 3.6e9, 3.6e10)),
    Quantity.TIME: (("s", 1.0, 0.0), ("min", 60.0, 120.0), ("h", 3600.0, 7200.0)),
    Quantity.MASS: (("g", 1.0, 0.0), ("kg", 1e3, 1e3), ("t", 1e6, 1e7)),
    Quantity.POWER: (("W", 1.0, 0.0), ("kW", 1e3, 2e3), ("MW", 1e6, 2e6)),
    Quantity.MONEY: (("", 1.0, 0.0),),
    Quantity.PERCENT: (("%", 1.0, 0.0),),
    Quantity.COUNT: (("", 1.0, 0.0),),
}
"""Units, the smallest first: how many base units each is, and from how many base units on it is used."""


@dataclass(frozen=True, slots=True)
class Unit:
    """One unit for a whole column or axis.

    Attributes:
        name: Empty where there is none.
        size: In base units.
        decimals: That its figures are written with.
    """

    name: str
    size: float
    decimals: int

    @classmethod
    def of(cls, quantity: Quantity, values: Iterable[float], beside: float = 0.0) -> Unit:
        """The unit in which the largest of ``values`` has few digits.

        Args:
            quantity: What they are.
            values: In base units.
            beside: The largest of what stands beside them and is to have the same unit, in base units.
        """
        found = [abs(value) for value in values]
        largest = max(found, default=0.0)
        above = max(largest, beside)
        name, size = next((name, size) for name, size, least in reversed(_UNITS[quantity]) if above >= least)
        if quantity is Quantity.PERCENT:
            return cls(name, size, 1)
        if quantity is Quantity.COUNT:
            return cls(name, size, 0 if all(value == int(value) for value in found) else 1)
        shown = largest / size
        return cls(name, size, 2 if shown < 100 else 1 if shown < 1000 else 0)

    def write(self, interval: Interval | None, *, spread: bool = True, signed: bool = False) -> str:
        """``41.23 ± 0.60``, without the unit's name; without the spread where there is none or it is not wanted."""
        if interval is None:
            return NOTHING
        mean = round(interval.mean / self.size, self.decimals) + 0.0  # no -0.0
        text = f"{mean:{'+' if signed and mean else ''},.{self.decimals}f}"
        if interval.half is None or not spread:
            return text
        return f"{text} ± {interval.half / self.size:,.{self.decimals}f}"


def duration_text(seconds: float) -> str:
    """``36 s``, ``12 min``, ``2 h 05 min`` or ``3 d 4 h``."""
    if seconds < 99.5:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 100:
        return f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    return f"{hours // 24} d {hours % 24} h"
