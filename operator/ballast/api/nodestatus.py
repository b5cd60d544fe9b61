"""The status of a NodePower: a node's GPUs and CPUs as its agent found them, and what it does to them.

Invariant: only that node's agent writes it, whole, and all of it can be found out again, but for what was *found*
before the first change; that the agent keeps on the node's disk, and here it is shown.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from ballast.api.base import Boolean, Integer, Number, ObservedModel, Rule, Time
from ballast.api.conditions import MAX_CONDITIONS, Condition
from ballast.api.lists import ATOMIC, Distinct, Keyed
from ballast.api.operatingpoint import MAX_GPUS_OF_NODE, GpuHertz, GpuUuid, GpuWatts, OperatingPoint
from ballast.api.source import Component, Source

MAX_HOLDERS = 64
MAX_CPU_PACKAGES = 16
MAX_ENDED_PODS = 256

Uid = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[A-Za-z0-9]([-_.A-Za-z0-9]*[A-Za-z0-9])?$")]
"""A Kubernetes UID; 36 characters, but the API server promises nothing about its form."""
_Count = Annotated[Integer, Field(ge=0)]


class NodeCondition(StrEnum):
    """The conditions of a NodePower."""

    READY = "Ready"
    """The agent sees the GPUs and can do what `spec` asks for."""
    ENFORCED = "Enforced"
    """Every operating point that `spec` asks for is set and read back."""
    METERED = "Metered"
    """Power and energy of GPUs and CPUs are measured, and not estimated by a model."""
    OPERATOR_FRESH = "OperatorFresh"
    """The operator's Lease is renewed; otherwise `spec.withoutOperator` holds."""


class Capability(StrEnum):
    """What a GPU and its driver can do, as tried out and not as promised."""

    POWER_LIMIT = "PowerLimit"
    """The power limit can be set."""
    LOCKED_CLOCKS = "LockedClocks"
    """The GPU clocks can be locked to a range."""
    LOCKED_MEMORY_CLOCKS = "LockedMemoryClocks"
    """The memory clock can be locked."""
    ENERGY_COUNTER = "EnergyCounter"
    """The board counts joules."""
    POWER_READING = "PowerReading"
    """The board tells its power."""


class PowerLimitRange(ObservedModel):
    """The power limits of a GPU, in watts."""

    min_watts: GpuWatts = Field(description="The lowest that can be set.")
    max_watts: GpuWatts = Field(description="The highest that can be set.")
    default_watts: GpuWatts = Field(description="What the board has after a reset.")
    found_watts: GpuWatts = Field(description="What it was before the agent changed it first: this is restored.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minWatts <= self.maxWatts",
            message="minWatts must be at most maxWatts",
            holds=lambda self: self.min_watts <= self.max_watts,
            field=("minWatts",),
        ),
    )


class ClockRange(ObservedModel):
    """The clocks to which a GPU can be locked, in hertz."""

    min_hertz: GpuHertz = Field(description="The lowest.")
    max_hertz: GpuHertz = Field(description="The highest.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel="self.minHertz <= self.maxHertz",
            message="minHertz must be at most maxHertz",
            holds=lambda self: self.min_hertz <= self.max_hertz,
            field=("minHertz",),
        ),
    )


class Enforced(ObservedModel):
    """The operating point that a GPU has by the agent's doing."""

    operating_point: OperatingPoint = Field(description="As read back from the board.")
    since: Time = Field(description="When it was set.")
    delay_seconds: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="From the change of spec to the board's confirmation."
    )
    reapplied: _Count = Field(default=0, description="How often somebody else had changed it and it was set again.")


class GpuHolder(ObservedModel):
    """A pod that holds a GPU or a part of it."""

    uid: Uid = Field(description="The pod's UID.")
    namespace: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="Its namespace.")
    name: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="Its name.")
    mig_device: GpuUuid | None = Field(
        default=None, description="The MIG device that it holds; absent for the whole GPU or a time slice."
    )


class GpuStatus(ObservedModel):
    """One GPU."""

    uuid: GpuUuid = Field(description="Its UUID.")
    model: Annotated[str, Field(min_length=1, max_length=63)] = Field(
        description="GPU model, as in the node's label nvidia.com/gpu.product."
    )
    memory_bytes: _Count | None = Field(default=None, description="Its memory, in bytes.")
    capabilities: Annotated[tuple[Capability, ...], Field(max_length=len(Capability)), Distinct()] = Field(
        default=(), description="What it can do, as tried out."
    )
    power_limit: PowerLimitRange | None = Field(
        default=None, description="Its power limits; absent if it does not tell them."
    )
    clock: ClockRange | None = Field(default=None, description="Its clocks; absent if it does not tell them.")
    memory_clock: ClockRange | None = Field(default=None, description="Its memory's clocks; absent likewise.")
    idle_watts: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Power without load, in watts; absent until it was measured."
    )
    mig: Boolean = Field(default=False, description="Whether it is divided into MIG devices.")
    enforced: Enforced | None = Field(
        default=None, description="The operating point that the agent has set; absent while it is as it was found."
    )
    holders: Annotated[tuple[GpuHolder, ...], Field(max_length=MAX_HOLDERS, json_schema_extra=ATOMIC)] = Field(
        default=(), description="The pods that hold it; more than one if it is shared."
    )
    problem: Annotated[str, Field(max_length=256)] | None = Field(
        default=None, description="What is wrong with it, or with what was asked of it, and the remedy."
    )


class CpuPackage(ObservedModel):
    """One CPU package."""

    index: Annotated[Integer, Field(ge=0, le=1023)] = Field(description="Its number on the node.")
    metered: Boolean = Field(description="Whether it counts joules (RAPL), or a model estimates them.")
    dram: Boolean = Field(default=False, description="Whether it counts the memory's joules, too.")
    idle_watts: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Power without load, in watts; absent until it was measured."
    )


class EndedComponent(ObservedModel):
    """What a pod that has ended used of one component."""

    component: Component = Field(description="What drew it: gpu, cpu or dram.")
    active_joules: Annotated[Number, Field(ge=0)] = Field(description="What its own work took, in joules.")
    idle_joules: Annotated[Number, Field(ge=0)] = Field(
        description="Its part of what would have been drawn without load, in joules."
    )
    source: Source = Field(description="Where the figures come from.")


class EndedPod(ObservedModel):
    """What a training pod used until it had ended: the agent's own last word, whatever became of its exporter."""

    uid: Uid = Field(description="The pod's UID.")
    at: Time = Field(description="When the meter looked after its end.")
    used: Annotated[tuple[EndedComponent, ...], Field(max_length=len(Component)), Keyed("component")] = Field(
        default=(), description="What it used."
    )


class NodePowerStatus(ObservedModel):
    """What the agent found, and what it does."""

    observed_generation: _Count | None = Field(
        default=None, description="The metadata.generation that this status is about."
    )
    agent: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="The agent's version.")
    driver: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The driver's version; absent without a driver."
    )
    gpu_model: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The node's GPU model; absent without GPUs, and with GPUs of several models."
    )
    gpu_count: _Count | None = Field(default=None, description="How many GPUs the node has.")
    capped_gpus: _Count | None = Field(default=None, description="How many are not as they were found.")
    limit_watts: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="The sum of the power limits that its GPUs have now, in watts."
    )
    gpus: Annotated[tuple[GpuStatus, ...], Field(max_length=MAX_GPUS_OF_NODE), Keyed("uuid")] = Field(
        default=(), description="The GPUs."
    )
    cpu_packages: Annotated[tuple[CpuPackage, ...], Field(max_length=MAX_CPU_PACKAGES), Keyed("index")] = Field(
        default=(), description="The CPU packages."
    )
    ended_pods: Annotated[tuple[EndedPod, ...], Field(max_length=MAX_ENDED_PODS), Keyed("uid")] = Field(
        default=(), description="What training pods used that ended here lately."
    )
    conditions: Annotated[tuple[Condition, ...], Field(max_length=MAX_CONDITIONS), Keyed("type")] = Field(
        default=(), description="What is true of the node's agent now, since when and why."
    )
