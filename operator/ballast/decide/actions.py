"""What a cycle may do to the world: a few kinds of small frozen actions.

Each is idempotent and safe to repeat after a crash: a status is written whole, objects have deterministic names
and are applied, a pod's gate is taken off under a test that it is still there. Whatever is not yet visible in
the world is decided again from the world.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, TypeAlias

from ballast.api.energyprofile import EnergyProfileSpec, EnergyProfileStatus
from ballast.api.jobstatus import TrainingJobStatus
from ballast.api.nodepower import NodePowerSpec
from ballast.api.trainingjob import TrainingJob
from ballast.decide.snapshot import Orphan


class Transition(StrEnum):
    """Which step of a job's life a status write records; also the name in logs, metrics and failpoints."""

    QUEUE = "Queue"
    """The job waits, or waits for another reason than before."""
    PREEMPT = "Preempt"
    """The job waits for room that jobs of lower priority give up, or does so no more."""
    ADMIT = "Admit"
    """Capacity is reserved on the nodes that the status names."""
    RUN = "Run"
    """Every pod of the gang runs."""
    STOP = "Stop"
    """The attempt is to be stopped; its outcome says what for."""
    SUSPEND = "Suspend"
    """Nothing runs any more, as `spec.suspend` wants it."""
    REQUEUE = "Requeue"
    """The attempt is over and another one may follow."""
    TELL = "Tell"
    """The job goes on; what is known of it changed."""
    SETTLE = "Settle"
    """What pods used that have ended is entered into the ledger of their attempt, each pod once."""
    REPORT = "Report"
    """Figures changed noticeably: power, energy, progress, or how fresh they are."""
    SUCCEED = "Succeed"
    """The training ended well."""
    FAIL = "Fail"
    """The job ended without a result."""


@dataclass(frozen=True, slots=True)
class Note:
    """An event for the job's owner: a CamelCase reason, and a sentence with numbers."""

    reason: str
    message: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class WriteStatus:
    """Write the job's whole status, then tell its owner."""

    job: TrainingJob
    transition: Transition
    status: TrainingJobStatus
    note: Note | None = None

    @property
    def explains_only(self) -> bool:
        """Whether nothing waits for it: it tells why a job waits, or what it draws."""
        if self.transition is Transition.REPORT:
            return True
        return self.transition is Transition.QUEUE and self.job.status.phase.is_waiting


@dataclass(frozen=True, slots=True)
class CreateObjects:
    """Apply the headless Service, if the launcher needs one, and the gated Job of an attempt."""

    job: TrainingJob
    attempt: int


@dataclass(frozen=True, slots=True)
class Ungate:
    """Bind one gated pod to its node: one patch that adds the affinity and takes the gate off.

    Attributes:
        gate_position: index of Ballast's gate in `spec.schedulingGates`.
        affinity: the pod's affinity as observed; the node is added to it.
    """

    job: TrainingJob
    pod_name: str
    pod_uid: str
    node: str
    gate_position: int
    affinity: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class StopAttempt:
    """Delete the Job of an attempt, with its pods: SIGTERM, grace, SIGKILL; the Job goes after the last pod."""

    job: TrainingJob
    workload_name: str
    workload_uid: str


@dataclass(frozen=True, slots=True)
class AskForRefusal:
    """Ask why pods of an attempt's Job were never created; the answer is an input of a later cycle."""

    job: TrainingJob
    workload_uid: str


@dataclass(frozen=True, slots=True)
class ReleasePod:
    """Take Ballast's finalizer from a pod whose last reading is in the ledger, or will never be.

    Attributes:
        finalizer_position: index of the finalizer in `metadata.finalizers`, as observed.
    """

    job: TrainingJob
    pod_name: str
    pod_uid: str
    finalizer_position: int = 0


@dataclass(frozen=True, slots=True)
class ReleaseOrphan:
    """The same for a pod whose job does not exist any more."""

    orphan: Orphan


@dataclass(frozen=True, slots=True)
class Expire:
    """Delete a TrainingJob that ended long enough ago."""

    job: TrainingJob


@dataclass(frozen=True, slots=True)
class WriteNodePower:
    """Apply a node's NodePower, which is made where there is none, and goes with the node."""

    node: str
    node_uid: str
    spec: NodePowerSpec


@dataclass(frozen=True, slots=True)
class LabelNode:
    """Set Ballast's labels of a node to these, and to no others."""

    node: str
    node_uid: str
    labels: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MarkNode:
    """Say of a node, by label and condition in one write, whether it is empty, or stop saying anything about it.

    Attributes:
        empty: what to say; None to remove both.
        since: since when that is so, seconds since the epoch; likewise `told_at`, when it was found out.
        reason: of the condition, a CamelCase word.
        message: of the condition, a sentence.
    """

    node: str
    node_uid: str
    empty: bool | None = None
    since: float = 0.0
    told_at: float = 0.0
    reason: str = ""
    message: str = ""


@dataclass(frozen=True, slots=True)
class WriteProfile:
    """Write a whole EnergyProfile: what was learned of one workload on one GPU model.

    Where it was changed meanwhile, or another has taken the name, nothing is written: it is decided again from there.

    Attributes:
        resource_version: Of the profile that was read; None for one that is to be made.
    """

    namespace: str
    name: str
    resource_version: str | None
    spec: EnergyProfileSpec
    status: EnergyProfileStatus


JobAction: TypeAlias = WriteStatus | CreateObjects | Ungate | StopAttempt | AskForRefusal | ReleasePod | Expire
NodeAction: TypeAlias = WriteNodePower | LabelNode
Action: TypeAlias = JobAction | NodeAction | MarkNode | ReleaseOrphan | WriteProfile
