"""What a GPU is told: its power limit and its clocks, as numbers in base units between operator and agent.

Invariant: a part that is absent is left as it was found. These shapes are written by programs; what people write has
units (`jobenergy`).
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Final

from pydantic import Field

from ballast.api.base import Integer, Number, ObservedModel, Rule

MAX_GPUS_OF_NODE: Final = 32
MAX_GPU_WATTS: Final = 10_000
MAX_GPU_HERTZ: Final = 100_000_000_000

GpuUuid = Annotated[str, Field(min_length=1, max_length=96, pattern=r"^[A-Za-z0-9]([-_.:/A-Za-z0-9]*[A-Za-z0-9])?$")]
"""A board's or MIG device's UUID as its driver gives it, as in `GPU-5fd4f087-86f3-7a43-b711-4771313afc50`."""
GpuWatts = Annotated[Number, Field(gt=0, le=MAX_GPU_WATTS)]
"""Power of one GPU."""
GpuHertz = Annotated[Integer, Field(gt=0, le=MAX_GPU_HERTZ)]
"""A GPU's or its memory's clock."""


class OperatingPoint(ObservedModel):
    """Power limit and clocks of a GPU; what is absent stays as it was found."""

    power_limit_watts: GpuWatts | None = Field(default=None, description="Power limit, in watts.")
    min_clock_hertz: GpuHertz | None = Field(
        default=None, description="Lower end of the locked GPU clocks, in hertz; goes with maxClockHertz."
    )
    max_clock_hertz: GpuHertz | None = Field(
        default=None, description="Upper end of the locked GPU clocks, in hertz; goes with minClockHertz."
    )
    memory_clock_hertz: GpuHertz | None = Field(default=None, description="Locked memory clock, in hertz.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="has(self.powerLimitWatts) || has(self.maxClockHertz) || has(self.memoryClockHertz)",
            message="powerLimitWatts, maxClockHertz or memoryClockHertz must be set: to change nothing, leave out the"
            " whole operating point",
            holds=lambda self: (
                self.power_limit_watts is not None
                or self.max_clock_hertz is not None
                or self.memory_clock_hertz is not None
            ),
            field=("powerLimitWatts",),
        ),
        Rule(
            cel="has(self.minClockHertz) == has(self.maxClockHertz)",
            message="minClockHertz and maxClockHertz must be set together: clocks are locked to a range",
            holds=lambda self: (self.min_clock_hertz is None) == (self.max_clock_hertz is None),
            field=("minClockHertz",),
        ),
        Rule(
            cel="!has(self.minClockHertz) || !has(self.maxClockHertz) || self.minClockHertz <= self.maxClockHertz",
            message="minClockHertz must be at most maxClockHertz: swap them",
            holds=lambda self: (
                self.min_clock_hertz is None
                or self.max_clock_hertz is None
                or self.min_clock_hertz <= self.max_clock_hertz
            ),
            field=("minClockHertz",),
        ),
    )
