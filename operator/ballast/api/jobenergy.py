"""What a user says about a job's energy: what to save, what it may cost in time, and where to stop.

Invariant: to leave everything out is a good choice. The defaults save energy within a tenth more time and never stop,
delay or cap a job in a way that nobody asked for.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ballast.api.base import ApiModel, Integer, Rule, WrittenTime, positive
from ballast.api.quantities import Hertz, Joules, Seconds, Watts

MAX_KEY_LENGTH = 63
KEY_PATTERN = r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$"

Key = Annotated[str, Field(min_length=1, max_length=MAX_KEY_LENGTH, pattern=KEY_PATTERN)]
"""What objects are grouped by; also a good value of a label."""


class Objective(StrEnum):
    """What placement makes small."""

    MINIMIZE_ENERGY = "MinimizeEnergy"
    """The joules of the work."""
    BALANCED = "Balanced"
    """The product of joules and seconds."""
    MINIMIZE_TIME = "MinimizeTime"
    """The seconds of the work; joules break ties."""


class OperatingPointMode(StrEnum):
    """Who chooses the operating point."""

    AUTO = "Auto"
    """Ballast, by what it has learned about the job."""
    FIXED = "Fixed"
    """The user."""
    NONE = "None"
    """Nobody: GPUs stay as they were found."""


class OperatingPointSpec(ApiModel):
    """Power limit and clocks of the GPUs while the job holds them."""

    mode: OperatingPointMode = Field(
        default=OperatingPointMode.AUTO,
        description="Auto: Ballast chooses, within maxSlowdownPercent. Fixed: powerLimit and maxClock are applied as"
        " they are. None: the GPUs stay as they were found.",
    )
    power_limit: Watts | None = Field(
        default=None,
        description="Power limit of each GPU, as in 250W; only with mode Fixed. A GPU whose range does not hold it"
        " keeps its own, and a condition says so.",
    )
    max_clock: Hertz | None = Field(
        default=None,
        description="Clock that no GPU exceeds, as in 1410MHz; only with mode Fixed. The next lower one that the GPU"
        " knows is taken.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.mode != 'Fixed' || has(self.powerLimit) || has(self.maxClock)",
            message="mode Fixed needs powerLimit or maxClock: add one, or choose Auto",
            holds=lambda self: self.mode is not OperatingPointMode.FIXED or self.sets_something,
            field=("mode",),
        ),
        Rule(
            cel="self.mode == 'Fixed' || !(has(self.powerLimit) || has(self.maxClock))",
            message="mode must be Fixed for powerLimit and maxClock to count: remove them, or choose Fixed",
            holds=lambda self: self.mode is OperatingPointMode.FIXED or not self.sets_something,
            field=("mode",),
        ),
        positive("powerLimit"),
        positive("maxClock"),
    )

    @property
    def sets_something(self) -> bool:
        """Whether a limit or a clock is given."""
        return self.power_limit is not None or self.max_clock is not None


class ShiftMode(StrEnum):
    """Whether the job waits for cleaner or cheaper power."""

    IGNORE = "Ignore"
    """No."""
    PREFER = "Prefer"
    """Yes, while others can use the GPUs meanwhile or they would be switched on for it."""
    REQUIRE = "Require"
    """Yes, even if the GPUs stay idle meanwhile."""


class ShiftSpec(ApiModel):
    """How far the start may move towards cleaner or cheaper power."""

    mode: ShiftMode = Field(
        default=ShiftMode.IGNORE,
        description="Ignore: the job starts when its turn comes. Prefer: it lets others go first while the forecast"
        " is better later. Require: it waits for the best time, even beside idle GPUs.",
    )
    max_delay: Seconds | None = Field(
        default=None,
        description="How long after its creation the job is at most held back for that, as in 6h; only, and always,"
        " with mode Prefer or Require.",
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="(self.mode == 'Ignore') != has(self.maxDelay)",
            message="maxDelay must be set with mode Prefer or Require, and absent with mode Ignore",
            holds=lambda self: (self.mode is ShiftMode.IGNORE) != (self.max_delay is not None),
            field=("maxDelay",),
        ),
        positive("maxDelay"),
    )


class EnergySpec(ApiModel):
    """How much time may be given for fewer joules, and how many joules there are."""

    objective: Objective = Field(
        default=Objective.MINIMIZE_ENERGY,
        description="What placement makes small: MinimizeEnergy the joules, MinimizeTime the seconds,"
        " Balanced their product.",
    )
    max_slowdown_percent: Annotated[Integer, Field(ge=0, le=1000)] = Field(
        default=10,
        description="How much longer the work may take than on the fastest eligible GPU model at its default"
        " power limit, in percent.",
    )
    deadline: WrittenTime | None = Field(
        default=None,
        description="By when the work is to be done. Energy is saved only as far as that leaves time; a job that"
        " can't make it says so and runs as fast as it can. It is not stopped: see activeDeadlineSeconds.",
    )
    expected_duration: Seconds | None = Field(
        default=None,
        description="How long the work takes on the fastest eligible GPU model at its default power limit, as far as"
        " you know, as in 6h. Then Ballast can tell whether waiting for a GPU that takes fewer joules pays, and by when"
        " a job with a deadline must start. Absent: it is taken for a long one.",
    )
    limit: Joules | None = Field(
        default=None,
        description="Energy that the whole job, all attempts together, may use at most, as in 12kWh. It is a hard"
        " limit: there the job saves a checkpoint and stops.",
    )
    operating_point: OperatingPointSpec = Field(
        default=OperatingPointSpec(), description="Power limit and clocks of the GPUs while the job holds them."
    )
    profile_key: Key | None = Field(
        default=None,
        description="Jobs of the namespace with the same key share what was learned about their speed and power, so"
        " give it to jobs that do the same work per step. Absent: a hash of image, command and arguments.",
    )
    shift: ShiftSpec = Field(
        default=ShiftSpec(), description="How far the start may move towards cleaner or cheaper power."
    )

    rules: ClassVar[tuple[Rule, ...]] = (positive("limit"), positive("expectedDuration"))
