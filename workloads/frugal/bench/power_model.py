"""Joules where nothing counts them: a stated model of CPU time, and nothing but an estimate.

    joules = busy watts * CPU seconds

By default a busy hardware thread is charged 3.5 W, which holds its share of what a server draws idle: the average over
server processors of one cloud that the Cloud Carbon Footprint project derived from SPECpower_ssj2008 results of whole
servers (its page "Methodology", section "Compute", 2021 and later, with 0.74 W for an idle thread). Single generations
differ by a factor of two and more: the joules compare runs on one machine with each other, not machines.

A thread that waits costs nothing then, since on a shared machine it is the neighbours who decide how long it waits.
Whoever has a machine alone can also state what an idle thread draws, and it is charged for all threads and seconds:

    joules = (busy - idle) watts * CPU seconds + idle watts * cores * seconds   (+ GPU watts * seconds, if stated)

What must hold: every estimate carries its watts in its name.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from frugal.errors import ConfigError

BUSY_WATTS = 3.5
SOURCE = "Cloud Carbon Footprint, Methodology: averages from SPECpower_ssj2008"


@dataclass(frozen=True, kw_only=True)
class PowerModel:
    """What time and CPU time cost.

    Attributes:
        cores: Hardware threads that are there for this process, busy or not.
        busy_watts: Of one of them at work.
        idle_watts: Of one of them at rest; 0 charges busy time only.
        gpu_watts: Of the GPU, on average while it is used; None leaves GPUs without an estimate.
    """

    cores: float
    busy_watts: float = BUSY_WATTS
    idle_watts: float = 0.0
    gpu_watts: float | None = None

    def __post_init__(self) -> None:
        if not (math.isfinite(self.busy_watts) and self.busy_watts > 0):
            raise ConfigError("watts_per_core", self.busy_watts, f"use a positive number, such as {BUSY_WATTS}")
        if not 0 <= self.idle_watts <= self.busy_watts:
            raise ConfigError("idle_watts_per_core", self.idle_watts, f"use a number from 0 to {self.busy_watts}")
        if self.gpu_watts is not None and not (math.isfinite(self.gpu_watts) and self.gpu_watts > 0):
            raise ConfigError("gpu_watts", self.gpu_watts, "use a positive number, or leave it out")

    @property
    def name(self) -> str:
        """The model in short, with its figures."""
        text = f"CPU time: {self.busy_watts:g} W a busy core"
        if self.idle_watts:
            text += f", {self.idle_watts:g} W an idle one, {self.cores:g} cores"
        return text if self.gpu_watts is None else f"{text}; {self.gpu_watts:g} W a GPU"

    def joules(self, seconds: float, cpu_seconds: float) -> float:
        """The estimate for an interval of ``seconds`` with ``cpu_seconds`` of processor time in it."""
        busy = (self.busy_watts - self.idle_watts) * cpu_seconds
        return busy + (self.idle_watts * self.cores + (self.gpu_watts or 0.0)) * seconds
