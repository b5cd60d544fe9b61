"""The status of a TrainingJob: where it stands, since when, why, and what became of each attempt.

Invariant: only the operator writes it, whole; it holds everything that a new operator needs to go on with the job where
the old one stopped (what was promised, what a stop is for, when to try again, how long it has run).
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ballast.api.base import Integer, Number, ObservedModel, Time
from ballast.api.conditions import MAX_CONDITIONS, Condition
from ballast.api.decision import MAX_OPTIONS, Decision, LimitOption
from ballast.api.lists import ATOMIC, Distinct, Keyed
from ballast.api.nodestatus import Uid
from ballast.api.operatingpoint import MAX_GPUS_OF_NODE, GpuUuid, GpuWatts, OperatingPoint

MAX_REPLICAS = 1024
MAX_ATTEMPTS = 16
MAX_AVOIDED = 16
MAX_NODES_LENGTH = 256
MAX_ATTEMPT_MESSAGE = 256
MAX_WHY = 512
MAX_SETTLING = 2 * MAX_REPLICAS
MAX_VICTIMS = 1024

_NodeName = Annotated[str, Field(max_length=253)]


class Phase(StrEnum):
    """Where a TrainingJob stands."""

    PENDING = "Pending"
    """No operator has looked at it yet."""
    QUEUED = "Queued"
    """Waits for capacity, or for the time of its next attempt; nothing runs for it."""
    PLACING = "Placing"
    """Capacity is reserved; pods are created, bound and started."""
    RUNNING = "Running"
    """Every pod of the gang runs."""
    SUSPENDING = "Suspending"
    """Ballast stops the attempt: SIGTERM, grace, until every pod is really gone. `reason` says what for."""
    SUSPENDED = "Suspended"
    """`spec.suspend` is set, and nothing runs."""
    SUCCEEDED = "Succeeded"
    """Every trainer exited with 0."""
    EARLY_STOPPED = "EarlyStopped"
    """Stopped, because more joules would not have bought a better model."""
    FAILED = "Failed"
    """Ended without a result."""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, for better or worse."""
        return self in (Phase.SUCCEEDED, Phase.EARLY_STOPPED, Phase.FAILED)

    @property
    def is_waiting(self) -> bool:
        """Whether the job holds nothing and wants to run."""
        return self in (Phase.PENDING, Phase.QUEUED)


class PodPlacement(ObservedModel):
    """Where one pod of the gang goes."""

    pod: Annotated[str, Field(max_length=253)] = Field(
        description="The pod's place in the gang: its hostname, <job>-<attempt>-<index>."
    )
    node: _NodeName = Field(description="The node.")
    gpu_model: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The node's GPU model; absent for a pod without GPUs."
    )
    gpus: Annotated[Integer, Field(ge=0)] = Field(default=0, description="GPUs that the pod holds.")
    gpu_uuids: Annotated[tuple[GpuUuid, ...], Field(max_length=MAX_GPUS_OF_NODE, json_schema_extra=ATOMIC)] | None = (
        Field(default=None, description="Which GPUs they are; absent until the node's agent has seen them.")
    )
    operating_point: OperatingPoint | None = Field(
        default=None, description="Power limit and clocks that the node's agent was told; absent: none."
    )


class Outcome(StrEnum):
    """How an attempt ends; it stands from the moment in which that is decided, before its pods are gone."""

    SUCCEEDED = "Succeeded"
    """Every trainer exited with 0."""
    FAILED = "Failed"
    """The trainer's own failure: an exit code, an image or a configuration with which it cannot start."""
    SUSPENDED = "Suspended"
    """Somebody set `spec.suspend`."""
    ROLLED_BACK = "RolledBack"
    """The gang was not running as a whole in time, so that nothing of it was kept."""
    DISRUPTED = "Disrupted"
    """The cluster's failure: a pod was evicted, preempted or deleted, or its node was lost."""
    PREEMPTED = "Preempted"
    """Ballast stopped it, because a job of higher priority needs the room."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """The job ran for `spec.activeDeadlineSeconds`."""


class AttemptEnergy(ObservedModel):
    """What the pods of an attempt used that have ended: the ledger, to which each pod is added once."""

    joules: Annotated[Number, Field(ge=0)] = Field(description="All of it, in joules.")
    gpu_joules: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="Of it by GPUs.")
    cpu_joules: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="Of it by CPUs.")
    dram_joules: Annotated[Number, Field(ge=0)] = Field(default=0.0, description="Of it by memory.")
    idle_joules: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Of it what would have been drawn without load."
    )
    estimated_joules: Annotated[Number, Field(ge=0)] = Field(
        default=0.0, description="Of it what no hardware measured: a model's estimate."
    )
    pods: Annotated[Integer, Field(ge=0)] = Field(default=0, description="How many pods are in it.")
    pods_without_last_reading: Annotated[Integer, Field(ge=0)] = Field(
        default=0,
        description="Of these, pods of which only an earlier reading is known, or none: they used more than is here.",
    )


class Attempt(ObservedModel):
    """One try at running the gang, from admission to its end."""

    number: Annotated[Integer, Field(ge=1)] = Field(description="Counts from 1; part of the names of what is created.")
    started_at: Time = Field(description="When capacity was reserved.")
    placed_at: Time | None = Field(default=None, description="When every pod had its node.")
    running_at: Time | None = Field(default=None, description="When every pod ran.")
    stopped_at: Time | None = Field(default=None, description="When Ballast began to stop it, if it did.")
    finished_at: Time | None = Field(default=None, description="When it had ended and its pods were gone or done.")
    outcome: Outcome | None = Field(default=None, description="How it ends; absent while nothing speaks against it.")
    reason: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Why it ended so, in one CamelCase word."
    )
    message: Annotated[str, Field(max_length=MAX_ATTEMPT_MESSAGE)] | None = Field(
        default=None, description="Why it ended so, in a sentence."
    )
    avoid: Annotated[
        tuple[_NodeName, ...],
        Field(max_length=MAX_AVOIDED, json_schema_extra=ATOMIC),
    ] = Field(default=(), description="Nodes on which it got stuck: the next attempt goes elsewhere if it can.")
    energy: AttemptEnergy | None = Field(
        default=None, description="What those of its pods used that have ended; absent until one has."
    )


class QueueStatus(ObservedModel):
    """Where a waiting job stands in the queue."""

    position: Annotated[Integer, Field(ge=1)] = Field(
        description="At most so many jobs are in front, and this one: exact to 10, then rounded up to 20, 50, 100, ..."
    )
    predicted_start: Time | None = Field(
        default=None,
        description="When its turn comes if the queue goes on at its present pace; absent while there is no pace.",
    )


class Victim(ObservedModel):
    """A running job that is stopped for one of higher priority."""

    uid: Uid = Field(description="Its UID.")
    attempt: Annotated[Integer, Field(ge=1)] = Field(description="Which of its attempts; a later one is left alone.")


class PreemptionStatus(ObservedModel):
    """The room that is being freed for a waiting job, and is held for it until it is placed."""

    until: Time = Field(description="When it is given up if the job has not been placed.")
    nodes: Annotated[
        tuple[_NodeName, ...],
        Field(max_length=MAX_REPLICAS, json_schema_extra=ATOMIC),
    ] = Field(default=(), description="Nodes that nobody else gets until then.")
    victims: Annotated[
        tuple[Victim, ...],
        Field(max_length=MAX_VICTIMS, json_schema_extra=ATOMIC),
    ] = Field(default=(), description="Jobs of lower priority that save and end, to be queued again.")


class EnergyStatus(ObservedModel):
    """What the job draws, what it has used, and what that saved; measured where nothing else is said."""

    predicted_watts: Annotated[Number, Field(ge=0)] | None = Field(
        default=None,
        description="Power that the gang's GPUs and what they keep awake are expected to draw, in watts.",
    )
    watts: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Power that its pods draw now, in watts."
    )
    joules: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Energy that its pods have used, all attempts together, in joules."
    )
    estimated_joules: Annotated[Number, Field(ge=0)] | None = Field(
        default=None,
        description="The part of joules that was not measured but charged at what could have been drawn; measurements"
        " correct it when they come.",
    )
    earlier_joules: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Of joules, what attempts used that are no longer listed."
    )
    used: Annotated[str, Field(max_length=32)] | None = Field(
        default=None, description="The energy in short, for people; joules has it exactly."
    )
    grams_co2e: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, alias="gramsCO2e", description="Greenhouse gas of that energy, in grams of CO2 equivalent."
    )
    cost: Number | None = Field(default=None, description="Price of that energy, in the currency of the price signal.")
    baseline_joules: Annotated[Number, Field(ge=0)] | None = Field(
        default=None,
        description="Energy that the same work would have used at the GPUs' original limits, in joules; absent until"
        " its energy profile has a measured point there.",
    )
    saved_percent: Annotated[Number, Field(le=100)] | None = Field(
        default=None, description="How much less joules is than baselineJoules, in percent; absent with it."
    )


class ProgressStatus(ObservedModel):
    """How far the training is, as the trainer reported it last."""

    step: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="Steps done; absent if the trainer only tells percents."
    )
    total_steps: Annotated[Integer, Field(ge=1)] | None = Field(default=None, description="Steps to do.")
    percent: Annotated[Number, Field(ge=0, le=100)] | None = Field(
        default=None, description="How much of the work is done, in percent."
    )
    epoch: Annotated[Number, Field(ge=0)] | None = Field(default=None, description="Epochs done.")
    metric: Number | None = Field(
        default=None, description="The newest value of earlyStopping.metric, in the metric's unit."
    )
    best: Number | None = Field(default=None, description="The best value of it so far.")
    evaluations: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="How often the trainer has reported that metric in the present attempt."
    )
    missed_evaluations: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="Of these, how many came faster than they could be read: their values are not known."
    )
    steps_per_second: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Speed of the present attempt."
    )
    estimated_seconds_left: Annotated[Number, Field(ge=0)] | None = Field(
        default=None, description="Running time that is left at this speed, in seconds."
    )
    reported_at: Time | None = Field(default=None, description="When the trainer reported it.")


class ChosenPoint(ObservedModel):
    """What Ballast chose for each GPU of the present attempt, and what learning has cost: the record of mode Auto."""

    power_limit_watts: GpuWatts = Field(description="Power limit of each GPU, in watts.")
    since: Time = Field(description="When it was chosen.")
    lost_seconds: Annotated[Number, Field(ge=0)] = Field(
        default=0.0,
        description="How much longer the attempt has taken until then because limits were tried out that are slower"
        " than maxSlowdownPercent allows, in seconds.",
    )
    samples: Annotated[Integer, Field(ge=0)] = Field(
        default=0, description="How many measurements the choice rests on."
    )
    observed_generation: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="The metadata.generation that it was chosen for."
    )
    why: Annotated[str, Field(max_length=MAX_WHY)] = Field(default="", description="Why, in a sentence with numbers.")
    options: Annotated[tuple[LimitOption, ...], Field(max_length=MAX_OPTIONS, json_schema_extra=ATOMIC)] = Field(
        default=(),
        description=f"What it was chosen from, ascending: at most {MAX_OPTIONS} limits, the found one and those nearest"
        " to the choice.",
    )


class TrainingJobStatus(ObservedModel):
    """What Ballast observes and has decided."""

    phase: Phase = Field(
        default=Phase.PENDING,
        description="Pending: not seen by an operator yet. Queued: waits, nothing runs. Placing: capacity is reserved,"
        " pods start. Running: all pods run. Suspending: the pods are being stopped, reason says what for. Suspended:"
        " stays stopped until spec.suspend is false. Succeeded, EarlyStopped, Failed: ended.",
    )
    reason: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Why the phase is what it is now, in one CamelCase word."
    )
    observed_generation: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="The metadata.generation that this status is about."
    )
    queued_at: Time | None = Field(
        default=None, description="Since when the job waits its turn; kept over retries, new after a suspension."
    )
    started_at: Time | None = Field(default=None, description="When all pods first ran.")
    finished_at: Time | None = Field(default=None, description="When the job ended.")
    retry_at: Time | None = Field(default=None, description="No attempt begins before; absent if one may at any time.")
    failures: Annotated[Integer, Field(ge=0)] = Field(
        default=0, description="Attempts that ended by the trainer's own failure; spec.retryLimit bounds them."
    )
    active_seconds: Annotated[Integer, Field(ge=0)] = Field(
        default=0,
        description="Seconds for which the gang ran in attempts that have ended; spec.activeDeadlineSeconds bounds"
        " them together with those of the present one.",
    )
    gpus: Annotated[Integer, Field(ge=0)] | None = Field(default=None, description="GPUs that the whole gang asks for.")
    nodes: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="The nodes in short, for people; placement has them in full."
    )
    queue: QueueStatus | None = Field(default=None, description="Its place in the queue; absent unless it waits.")
    decision: Decision | None = Field(
        default=None,
        description="What was considered when the job was placed last, or was last told why it waits; absent before,"
        " and where there was nothing to choose from.",
    )
    preemption: PreemptionStatus | None = Field(
        default=None,
        description="Room that jobs of lower priority give up for it; absent unless it waits for that.",
    )
    placement: Annotated[
        tuple[PodPlacement, ...],
        Field(
            max_length=MAX_REPLICAS,
            json_schema_extra=ATOMIC,
        ),
    ] = Field(default=(), description="Where each pod of the current attempt goes.")
    operating_point: ChosenPoint | None = Field(
        default=None,
        description="What Ballast chose with operatingPoint.mode Auto; absent until it has, with other modes, and while"
        " nothing runs. Condition OperatingPointSet says why, and what the GPUs have.",
    )
    energy: EnergyStatus | None = Field(
        default=None, description="What the job draws, what it has used, and what that saved."
    )
    progress: ProgressStatus | None = Field(
        default=None, description="How far the training is; absent until the trainer reports."
    )
    attempts: Annotated[
        tuple[Attempt, ...],
        Field(
            max_length=MAX_ATTEMPTS,
            json_schema_extra=ATOMIC,
        ),
    ] = Field(default=(), description=f"The newest {MAX_ATTEMPTS} attempts, oldest first.")
    settling: Annotated[
        tuple[Uid, ...],
        Field(max_length=MAX_SETTLING),
        Distinct(),
    ] = Field(
        default=(),
        description="Pods that are in the ledger of their attempt already and still carry Ballast's finalizer.",
    )
    conditions: Annotated[
        tuple[Condition, ...],
        Field(max_length=MAX_CONDITIONS),
        Keyed("type"),
    ] = Field(default=(), description="What is true of the job now, since when and why.")


def nodes_in_short(nodes: Iterable[str], shown: int = 2) -> str:
    """Node names for a table column: the first few in order, then how many more."""
    distinct = list(dict.fromkeys(nodes))
    more = f" +{len(distinct) - shown}" if len(distinct) > shown else ""
    names = ",".join(distinct[:shown])
    room = MAX_NODES_LENGTH - len(more)
    return (names if len(names) <= room else names[: room - 1] + "…") + more
