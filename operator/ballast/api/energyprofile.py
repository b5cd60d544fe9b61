"""EnergyProfile: what was learned of one workload on one GPU model.

Measured points stand in `spec` although the operator writes them: they are data, not an observation of what somebody
asked for, and they are not to be found out again for free. A spec survives what a status does not: a backup, a copy
into another cluster, `kubectl apply` of a profile that an admin shares from the operator's namespace. `status` says
only what can be computed from it. Invariant: a profile has one writer, the operator for those that it made, an admin
for those in the operator's namespace; key and GPU model never change, because the points would then be of something
else.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ballast.api.base import ApiModel, Integer, Number, ObservedModel, Rule, WrittenTime
from ballast.api.conditions import MAX_CONDITIONS, Condition
from ballast.api.jobenergy import Key
from ballast.api.kinds import AGE, Column, InvalidObject, Kind, Resource
from ballast.api.lists import ATOMIC, Keyed
from ballast.api.operatingpoint import GpuHertz, GpuWatts

KIND = "EnergyProfile"
PLURAL = "energyprofiles"
MAX_POINTS = 64

_Positive = Annotated[Number, Field(gt=0)]
_NotNegative = Annotated[Number, Field(ge=0)]


class InvalidEnergyProfile(InvalidObject):
    """An EnergyProfile that breaks the schema or a rule."""


class ProfileCondition(StrEnum):
    """The conditions of an EnergyProfile."""

    USABLE = "Usable"
    """Predictions go by it; otherwise the reason says what is missing or contradicts itself."""


class MeasuredPoint(ApiModel):
    """Throughput and power of the workload at one operating point."""

    gpus: Annotated[Integer, Field(ge=1, le=32_768)] = Field(description="GPUs of the gang that was measured.")
    power_limit_watts: GpuWatts = Field(description="Power limit of each GPU, in watts.")
    max_clock_hertz: GpuHertz = Field(
        description="Clock that no GPU exceeded, in hertz; the GPU model's highest where none was locked."
    )
    steps_per_second: _Positive = Field(description="Throughput of the whole gang: mean of the samples.")
    steps_per_second_deviation: _NotNegative | None = Field(
        default=None, description="Standard deviation of the samples; absent with one sample."
    )
    watts_per_gpu: Annotated[Number, Field(gt=0, le=10_000)] = Field(
        description="Power of a GPU under this load, in watts: mean of the samples."
    )
    watts_per_gpu_deviation: _NotNegative | None = Field(
        default=None, description="Standard deviation of the samples; absent with one sample."
    )
    samples: Annotated[Integer, Field(ge=1, le=1_000_000_000_000)] = Field(
        description="How many measurements stand behind it."
    )
    measured_seconds: _Positive = Field(description="How long they took together, in seconds.")
    measured_at: WrittenTime | None = Field(default=None, description="When the newest was taken.")

    @property
    def operating_point(self) -> tuple[int, float, int]:
        """What tells it from the profile's other points."""
        return self.gpus, self.power_limit_watts, self.max_clock_hertz


class EnergyProfileSpec(ApiModel):
    """What was measured, and on what."""

    profile_key: Key = Field(
        description="The workload: what its TrainingJobs have as energy.profileKey, or the hash that stands for it."
        " Immutable."
    )
    gpu_model: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="GPU model, as in the node's label nvidia.com/gpu.product. Immutable."
    )
    points: Annotated[tuple[MeasuredPoint, ...], Field(max_length=MAX_POINTS, json_schema_extra=ATOMIC)] = Field(
        default=(), description="Measured operating points; each once. The least valuable go when there are too many."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "!has(self.points) || self.points.all(p, self.points.exists_one(q, q.gpus == p.gpus"
                " && q.powerLimitWatts == p.powerLimitWatts && q.maxClockHertz == p.maxClockHertz))"
            ),
            message="points must differ in gpus, powerLimitWatts or maxClockHertz: merge those of the same operating"
            " point into one",
            holds=lambda self: all(n == 1 for n in Counter(p.operating_point for p in self.points).values()),
            field=("points",),
        ),
        *(
            Rule(
                cel=f"self.{field} == oldSelf.{field}",
                message=f"{field} is immutable: what was measured belongs to it; make another profile",
                holds=None,
                field=(field,),
            )
            for field in ("profileKey", "gpuModel")
        ),
    )


class EnergyProfileStatus(ObservedModel):
    """What follows from the points."""

    observed_generation: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="The metadata.generation that this status is about."
    )
    points: Annotated[Integer, Field(ge=0)] | None = Field(default=None, description="How many points there are.")
    samples: Annotated[Integer, Field(ge=0)] | None = Field(default=None, description="Samples of all points.")
    best_power_limit_watts: GpuWatts | None = Field(
        default=None, description="Power limit of the measured point with the fewest joules a step, in watts."
    )
    best_joules_per_step: _NotNegative | None = Field(
        default=None, description="Joules of the gang's GPUs a step at that point."
    )
    contradicting: MeasuredPoint | None = Field(
        default=None,
        description="The newest measurements in a row that contradict the point of their operating point, taken"
        " together: too few of them yet to say that the workload has changed. Absent if the newest agrees.",
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS), Keyed("type")] = Field(
        default=(), description="What is true of the profile now, since when and why."
    )


class EnergyProfile(Kind):
    """What was learned of one workload on one GPU model: its throughput and power at measured operating points."""

    invalid: ClassVar[type[InvalidObject]] = InvalidEnergyProfile
    resource: ClassVar[Resource] = Resource(
        kind=KIND,
        plural=PLURAL,
        short_names=("epr",),
        scope="Namespaced",
        columns=(
            Column("Key", "string", ".spec.profileKey", "The workload."),
            Column("Model", "string", ".spec.gpuModel", "GPU model."),
            Column("Points", "integer", ".status.points", "Measured operating points."),
            Column("Samples", "integer", ".status.samples", "Measurements behind them."),
            Column("Best", "integer", ".status.bestPowerLimitWatts", "Power limit with the fewest joules a step."),
            Column("J/Step", "number", ".status.bestJoulesPerStep", "Joules a step at that limit."),
            AGE,
        ),
    )

    kind: Literal["EnergyProfile"] = "EnergyProfile"
    spec: EnergyProfileSpec
    status: EnergyProfileStatus = EnergyProfileStatus()

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name
