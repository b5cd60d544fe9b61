"""What a hardware thread draws by the CPU model that agent and exporter share, in watts.

    watts = idle + (full - idle) * utilization, for each hardware thread

The default coefficients, 0.74 W idle and 3.5 W busy for each hardware thread, are the averages over server processors
that the Cloud Carbon Footprint project computed from SPECpower_ssj2008 results, which are of whole servers. Single
generations lie between 0.5 and 3 W idle, 1.7 and 8.6 W busy, and power is not linear in utilization: a figure may be
off by a factor of two. Standard library only: the exporter imports it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

IDLE_WATTS_PER_THREAD: Final = 0.74
FULL_WATTS_PER_THREAD: Final = 3.5
ERROR_FACTOR: Final = 2.0
"""By what an estimate may be off, up or down."""


@dataclass(frozen=True, slots=True)
class Coefficients:
    """Power of one hardware thread, in watts.

    Attributes:
        idle_watts: while it does nothing.
        full_watts: while it is busy all the time.
    """

    idle_watts: float = IDLE_WATTS_PER_THREAD
    full_watts: float = FULL_WATTS_PER_THREAD

    def idle_joules(self, threads: float, seconds: float) -> float:
        """Return what `threads` take in `seconds` whether they work or not."""
        return self.idle_watts * threads * seconds

    def active_joules(self, busy_seconds: float) -> float:
        """Return what being busy for `busy_seconds`, summed over threads, takes in addition."""
        return (self.full_watts - self.idle_watts) * busy_seconds

    def joules(self, threads: float, seconds: float, busy_seconds: float) -> float:
        """Return what `threads` took in `seconds` in which they were busy for `busy_seconds` all together."""
        return self.idle_joules(threads, seconds) + self.active_joules(busy_seconds)


DEFAULT: Final = Coefficients()
