"""A pod's power and energy, as its node's agent tells it to that pod and to nobody else.

Invariant: joules only grow while the agent runs; active and idle shares are kept apart, and what is not measured says
so. All shares of a GPU's pods, and what is left over, add up to what its board counted (G4). What is told is whole up
to `at`: who waits until that has passed the end of a work knows all that the work took.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, AwareDatetime, Field, PlainSerializer

from ballast.api.base import Number, ObservedModel, Time
from ballast.api.nodestatus import Uid
from ballast.api.operatingpoint import MAX_GPUS_OF_NODE, GpuUuid
from ballast.api.source import Source as Source  # of what is told here


def _to_milliseconds(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=time.microsecond // 1000 * 1000)


def _rfc3339(time: datetime) -> str:
    return time.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


_Moment = Annotated[AwareDatetime, AfterValidator(_to_milliseconds), PlainSerializer(_rfc3339, when_used="json")]
"""To the millisecond, never later than it was: the whole seconds of API objects would be too coarse."""

_Joules = Annotated[Number, Field(ge=0)]
_Watts = Annotated[Number, Field(ge=0)]


class Share(ObservedModel):
    """A pod's share of one GPU, of the CPUs, or of the memory, since the agent knows the pod."""

    active_joules: _Joules = Field(description="What its own work took, in joules.")
    idle_joules: _Joules = Field(description="Its part of what would be drawn without load, in joules.")
    watts: _Watts = Field(description="Power at the last reading, active and idle, in watts.")
    source: Source = Field(description="Where the figures come from.")


class GpuShare(Share):
    """A pod's share of one GPU."""

    uuid: GpuUuid = Field(description="The GPU.")
    mig_device: GpuUuid | None = Field(
        default=None, description="The MIG device; absent for a whole GPU or a slice of time."
    )
    power_limit_watts: Annotated[Number, Field(gt=0)] | None = Field(
        default=None, description="The GPU's present power limit, in watts."
    )


class PodReadings(ObservedModel):
    """What one pod has used."""

    pod_uid: Uid = Field(description="The pod.")
    namespace: str = Field(description="Its namespace.")
    name: str = Field(description="Its name.")
    node: str = Field(description="Its node.")
    at: _Moment = Field(
        description="When the meter last looked at all that the pod uses; everything up to then is counted."
    )
    since: Time = Field(description="Since when the agent counts: when the pod, or the agent, began.")
    gpus: Annotated[tuple[GpuShare, ...], Field(max_length=MAX_GPUS_OF_NODE)] = Field(
        default=(), description="Its GPUs."
    )
    cpu: Share | None = Field(default=None, description="Its share of the CPU packages.")
    dram: Share | None = Field(default=None, description="Its share of the memory, where that is counted.")
    joules: _Joules = Field(description="All of it together.")
    watts: _Watts = Field(description="All of it together, now.")
