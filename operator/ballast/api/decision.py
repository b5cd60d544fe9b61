"""What was considered before something was decided: each option, in numbers, with what spoke against it.

Invariant: these are the decision's own numbers, rounded, as they were when it was made; nothing is computed for the
telling. An option against which nothing speaks is the one that was taken.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Final

from pydantic import Field

from ballast.api.base import Boolean, Integer, Number, ObservedModel, Time
from ballast.api.lists import ATOMIC
from ballast.api.operatingpoint import GpuWatts

MAX_OPTIONS: Final = 16
MAX_AGAINST: Final = 256
MAX_GPU_MODEL: Final = 63

_Against = Annotated[str, Field(max_length=MAX_AGAINST)]


class DecisionKind(StrEnum):
    """What came of it."""

    PLACED = "Placed"
    """The first option was taken."""
    WAITING = "Waiting"
    """Something speaks against every option for now."""


class PlacementOption(ObservedModel):
    """One way in which the job could go on."""

    gpu_model: Annotated[str, Field(max_length=MAX_GPU_MODEL)] | None = Field(
        default=None, description="GPU model; absent for a gang that trains on CPUs."
    )
    nodes: Annotated[Integer, Field(ge=1)] = Field(description="How many nodes the gang would be on.")
    power_limit_watts: GpuWatts | None = Field(
        default=None,
        description="Power limit of each GPU that joules and seconds are predicted for, in watts; absent: as found.",
    )
    joules: Annotated[Number, Field(ge=0)] | None = Field(
        default=None,
        description="Energy predicted for what is left of the job, in joules; absent where nothing is known.",
    )
    seconds: Annotated[Number, Field(ge=0)] | None = Field(
        default=None,
        description="From then until the job would be done, waiting included; absent where nothing is known.",
    )
    wait_seconds: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Of these, until the gang could start; absent with seconds."
    )
    against: _Against = Field(default="", description="Why it was not taken; empty for the one that was.")


class Decision(ObservedModel):
    """The newest decision on where the job runs, and what it chose from."""

    at: Time = Field(description="When it was made; the numbers are of then.")
    kind: DecisionKind = Field(
        description="Placed: the first option was taken. Waiting: something speaks against each for now."
    )
    work_seconds: Annotated[Number, Field(ge=0)] = Field(
        description="How much work joules and seconds are of: seconds on the fastest GPU model at its default limit."
    )
    work_is_assumed: Boolean = Field(
        default=False,
        description="true: nobody has said or measured how long the job takes, so that workSeconds is a guess.",
    )
    options: Annotated[tuple[PlacementOption, ...], Field(max_length=MAX_OPTIONS, json_schema_extra=ATOMIC)] = Field(
        default=(),
        description=f"At most {MAX_OPTIONS} of them: the one that was taken first, if one was; the others by joules.",
    )


class LimitOption(ObservedModel):
    """One power limit that the job's GPUs could have."""

    power_limit_watts: GpuWatts = Field(description="Power limit of each GPU, in watts.")
    joules_percent: Annotated[Number, Field(ge=-100)] = Field(
        description="How many more joules the same work takes than at the limit that was found, in percent; negative:"
        " fewer."
    )
    slowdown_percent: Annotated[Number, Field(ge=-100)] = Field(
        description="How much more time the same work takes than at the limit that was found, in percent."
    )
    measured: Boolean = Field(description="Whether both were measured on this workload; else they are predicted.")
    against: _Against = Field(default="", description="Why it was not chosen; empty for the one that was.")
