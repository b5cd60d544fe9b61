"""Rules of the simulated cluster that hold in every arm alike."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ballast.errors import UserError


@dataclass(frozen=True, slots=True)
class Options:
    """What nodes and meters do, whatever the policy.

    Attributes:
        switch_off_after_seconds: Nodes that held no job for so long are switched off; None: nodes stay on.
        boot_seconds: From a node's start until its jobs begin; they hold their GPUs meanwhile.
        boot_joules: All that a node draws while it boots.
        restart_seconds: How long a job that was stopped holds its new GPUs before it works again: loading its
            checkpoint. Zero makes moving a job free.
        reading_seconds: How long a job runs at an operating point before there is a reading.
        reading_every_seconds: Then all running jobs are read again at each multiple of this time; None: never.
        readings_noise: Standard deviation of a reading's throughput and of its power, as a share of the truth.
    """

    switch_off_after_seconds: float | None = None
    boot_seconds: float = 60.0
    boot_joules: float = 30_000.0
    restart_seconds: float = 0.0
    reading_seconds: float = 30.0
    reading_every_seconds: float | None = 600.0
    readings_noise: float = 0.01

    def __post_init__(self) -> None:
        self._check("switch_off_after_seconds", self.switch_off_after_seconds, least=0.0)
        self._check("boot_seconds", self.boot_seconds, above=0.0)
        self._check("boot_joules", self.boot_joules, least=0.0)
        self._check("restart_seconds", self.restart_seconds, least=0.0)
        self._check("reading_seconds", self.reading_seconds, above=0.0)
        self._check("reading_every_seconds", self.reading_every_seconds, above=0.0)
        # More, and some readings would be below zero.
        self._check("readings_noise", self.readings_noise, least=0.0, most=0.25)

    @staticmethod
    def _check(
        name: str, value: float | None, *, least: float = -math.inf, above: float = -math.inf, most: float = math.inf
    ) -> None:
        if value is None or (math.isfinite(value) and least <= value <= most and value > above):
            return
        bounds = [f"at least {least:g}"] if least > -math.inf else [f"above {above:g}"]
        bounds += [f"at most {most:g}"] if most < math.inf else []
        raise UserError(f"{name} is {value:g}: must be a number {' and '.join(bounds)}")
