"""Conditions: what is true of an object now, since when and why.

Invariant: `lastTransitionTime` moves only when the status does, so that it answers "since when"; there is one
condition of a type; nothing here mutates its input or reads a clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from ballast.api.base import Integer, ObservedModel, Time

MAX_CONDITIONS = 16
MAX_MESSAGE_LENGTH = 1024


class ConditionStatus(StrEnum):
    """Whether a condition holds."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class ConditionType(StrEnum):
    """The conditions of a TrainingJob, in the order in which a job passes through them."""

    ADMITTED = "Admitted"
    """GPUs and the rest that the gang asks for are reserved; replicas, template and launcher are fixed."""
    PLACED = "Placed"
    """Every pod of the gang has its node."""
    RUNNING = "Running"
    """Every pod of the gang runs."""
    OPERATING_POINT_SET = "OperatingPointSet"
    """The GPUs have the operating point that the job is to have, as their agents read it back."""
    THROTTLED = "Throttled"
    """The GPUs run below the operating point that the job would have, for the sake of a budget."""
    TELEMETRY_FRESH = "TelemetryFresh"
    """Power and progress are measured and up to date; nothing is stopped or throttled on older figures."""
    EARLY_STOPPED = "EarlyStopped"
    """More joules would not have bought a better model; with mode Advise it says what would have been done."""
    COMPLETE = "Complete"
    """The training ended well."""
    FAILED = "Failed"
    """The job ended without a result, and Ballast won't try again."""


class Reason(StrEnum):
    """Why a condition, and the job as a whole, is as it is: one CamelCase word, stable enough to alert on."""

    WAITING_FOR_CAPACITY = "WaitingForCapacity"
    """Not admitted: the gang fits the cluster, but not beside what runs now."""
    CLUSTER_TOO_SMALL = "ClusterTooSmall"
    """Not admitted: the gang would not fit even if nothing else ran."""
    NO_ELIGIBLE_NODE = "NoEligibleNode"
    """Not admitted: selectors, affinity, taints or cordons leave no node for the pods."""
    INVALID_SPEC = "InvalidSpec"
    """Failed, or not admitted: the spec contradicts itself, or the API server refused what follows."""
    RESERVED = "Reserved"
    """Admitted: capacity is promised to the gang on the nodes named in `status.placement`."""
    PODS_BOUND = "PodsBound"
    """Placed: kube-scheduler bound every pod where Ballast wanted it."""
    PODS_RUNNING = "PodsRunning"
    """Running: every pod of the gang runs."""
    POINT_CONFIRMED = "PointConfirmed"
    """Operating point: every GPU of the job has it, read back from the board."""
    POINT_PENDING = "PointPending"
    """Operating point: not all agents have confirmed it yet."""
    POINT_REFUSED = "PointRefused"
    """Operating point: a GPU does not take it, or its agent may not set it; that one stays as it was found."""
    POINT_AS_FOUND = "PointAsFound"
    """Operating point: Ballast leaves the GPUs as they were found; the message says why."""
    READINGS_FRESH = "ReadingsFresh"
    """Telemetry: every pod's power and energy is known, and up to date."""
    READINGS_STALE = "ReadingsStale"
    """Telemetry: figures of some pods are old, or missing; nothing is decided on them."""
    NO_TELEMETRY = "NoTelemetry"
    """Telemetry: Prometheus is not configured or does not answer."""
    TRAINING_SUCCEEDED = "TrainingSucceeded"
    """Complete: every trainer exited with 0."""
    TRAINER_FAILED = "TrainerFailed"
    """Failed: a trainer exited with another code than 0, or its pod was lost."""
    CAPACITY_TAKEN = "CapacityTaken"
    """Rolled back: pods that Ballast did not place took what was reserved, or the pods became larger than that."""
    NODE_UNAVAILABLE = "NodeUnavailable"
    """Rolled back: a node was lost, cordoned or not ready before its pods started."""
    PODS_REFUSED = "PodsRefused"
    """Rolled back: the API server refused pods of the gang (ResourceQuota, LimitRange, Pod Security)."""
    PLACEMENT_TIMEOUT = "PlacementTimeout"
    """Rolled back: the gang was not running as a whole in time."""
    POD_CANNOT_START = "PodCannotStart"
    """Failed: the image or the configuration of a pod does not let it start."""
    POD_DISRUPTED = "PodDisrupted"
    """Stopped: a pod was evicted, preempted or deleted while the gang ran."""
    NODE_LOST = "NodeLost"
    """Stopped: a node of the gang does not answer any more, or is gone."""
    DEADLINE_EXCEEDED = "DeadlineExceeded"
    """Failed: the job ran for spec.activeDeadlineSeconds."""
    PREEMPTING = "Preempting"
    """Not admitted: running jobs of lower priority are being stopped for the gang, and their room is held for it."""
    PREEMPTED = "Preempted"
    """Stopped: a job of higher priority needs the room; queued again with the age that it had."""
    SUSPENDED = "Suspended"
    """Not admitted: spec.suspend is true."""
    RESUMED = "Resumed"
    """Not admitted: spec.suspend is false again, and the job waits for its turn."""
    FINISHED = "Finished"
    """No longer admitted, placed or running, because the job ended."""


class Condition(ObservedModel):
    """One observation, in the shape of the Kubernetes API conventions (metav1.Condition)."""

    type: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")] = Field(
        description="What is observed, in one CamelCase word."
    )
    status: ConditionStatus = Field(description="Whether it holds.")
    reason: Annotated[str, Field(min_length=1, max_length=63, pattern=r"^[A-Z][A-Za-z0-9]*$")] = Field(
        description="Why, in one CamelCase word."
    )
    message: Annotated[str, Field(max_length=MAX_MESSAGE_LENGTH)] = Field(
        default="", description="Why, in a sentence with numbers."
    )
    last_transition_time: Time = Field(description="Since when the status is what it is.")
    observed_generation: Annotated[Integer, Field(ge=0)] | None = Field(
        default=None, description="The metadata.generation that this observation is about."
    )

    @property
    def is_true(self) -> bool:
        """Whether the condition holds for certain."""
        return self.status is ConditionStatus.TRUE


def find_condition(conditions: Iterable[Condition], type_: str) -> Condition | None:
    """The condition of that type, or None."""
    return next((condition for condition in conditions if condition.type == type_), None)


def is_true(conditions: Iterable[Condition], type_: str) -> bool:
    """Whether a condition of that type exists and holds."""
    condition = find_condition(conditions, type_)
    return condition is not None and condition.is_true


def set_condition(
    conditions: Sequence[Condition],
    type_: str,
    status: bool | None,
    reason: str,
    message: str,
    *,
    generation: int | None,
    now: datetime,
) -> tuple[Condition, ...]:
    """The conditions with one of them set; the others, and the order, stay.

    Args:
        conditions: The conditions as they are; not changed.
        type_: Which condition to set.
        status: True, False, or None for unknown.
        reason: One CamelCase word.
        message: A sentence with numbers; cut to `MAX_MESSAGE_LENGTH`.
        generation: The metadata.generation that was observed.
        now: Becomes the transition time if, and only if, the status changes.

    Returns:
        The new conditions; equal to the old ones if nothing changed, so that a no-op write can be skipped.
    """
    new_status = {True: ConditionStatus.TRUE, False: ConditionStatus.FALSE, None: ConditionStatus.UNKNOWN}[status]
    old = find_condition(conditions, type_)
    new = Condition(
        type=type_,
        status=new_status,
        reason=reason,
        message=_cut(message),
        last_transition_time=old.last_transition_time if old is not None and old.status is new_status else now,
        observed_generation=generation,
    )
    if old is None:
        return (*conditions, new)
    return tuple(new if condition is old else condition for condition in conditions)


def _cut(message: str) -> str:
    return message if len(message) <= MAX_MESSAGE_LENGTH else message[: MAX_MESSAGE_LENGTH - 1] + "…"
