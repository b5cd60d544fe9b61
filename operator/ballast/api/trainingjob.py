"""TrainingJob: what a user asks for, and what Ballast says about it.

Invariant: `spec` is intent and only people write it; `status` is observation, only the operator writes it,
and all of it can be rebuilt from the world. Every field has an effect; the CRD is rendered from these models.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError

from ballast.api.base import API_VERSION, ApiModel, Column, ObservedModel, Resource, Rule, Time
from ballast.api.conditions import MAX_CONDITIONS, Condition
from ballast.api.podtemplate import PodTemplate, env_names, gpus_of
from ballast.errors import UserError

KIND = "TrainingJob"
PLURAL = "trainingjobs"
MAX_REPLICAS = 1024
MAX_ATTEMPTS = 16
MAX_NODES_LENGTH = 256
# `<name>-<attempt>-<index>` is a pod's hostname, a DNS label of at most 63 characters: this leaves 9 digits
# for the attempt and 4 for the index. The gang's Service wants a letter first.
MAX_NAME_LENGTH = 48
NAME_PATTERN = "[a-z]([-a-z0-9]*[a-z0-9])?"
# One writer replaces the list: the API server need not remember who owns each of up to a thousand items.
_WRITTEN_WHOLE = {"x-kubernetes-list-type": "atomic"}
TORCHRUN_VARIABLES = ("PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_NNODES", "PET_NODE_RANK")


class Phase(StrEnum):
    """Where a TrainingJob stands."""

    PENDING = "Pending"
    """No operator has looked at it yet."""
    QUEUED = "Queued"
    """Waits for capacity; nothing exists for it."""
    PLACING = "Placing"
    """Capacity is reserved; pods are created, bound and started."""
    RUNNING = "Running"
    """Every pod of the gang runs."""
    SUCCEEDED = "Succeeded"
    """Every trainer exited with 0."""
    FAILED = "Failed"
    """Ended without a result."""

    @property
    def is_final(self) -> bool:
        """Whether the job has ended, for better or worse."""
        return self in (Phase.SUCCEEDED, Phase.FAILED)


class Launcher(StrEnum):
    """How the pods of a gang find each other."""

    TORCHRUN = "torchrun"
    """A headless Service and the PET_* variables that torchrun reads."""
    NONE = "none"
    """Not at all: the trainer is on its own."""


class Objective(StrEnum):
    """What placement makes small."""

    MINIMIZE_ENERGY = "MinimizeEnergy"
    """The joules of the work."""
    BALANCED = "Balanced"
    """The product of joules and seconds."""
    MINIMIZE_TIME = "MinimizeTime"
    """The seconds of the work; joules break ties."""


class EnergySpec(ApiModel):
    """How much time may be given for fewer joules."""

    objective: Objective = Field(
        default=Objective.MINIMIZE_ENERGY,
        description="What placement makes small: MinimizeEnergy the joules, MinimizeTime the seconds,"
        " Balanced their product.",
    )
    max_slowdown_percent: Annotated[int, Field(ge=0, le=1000)] = Field(
        default=10,
        description="How much longer the work may take than on the fastest eligible GPU model at its default"
        " power limit, in percent.",
    )


class TrainingJobSpec(ApiModel):
    """What to train, in how many pods, and how much time may be given for fewer joules."""

    replicas: Annotated[int, Field(ge=1, le=MAX_REPLICAS)] = Field(
        default=1,
        description="Pods in the gang: all are placed at once, or none. Immutable while the job is admitted.",
    )
    launcher: Launcher = Field(
        default=Launcher.NONE,
        description="torchrun: pods get PET_* variables and a headless Service, so that torchrun in the"
        " trainer forms one process group. none: nothing is added. Immutable while the job is admitted.",
    )
    checkpoint_grace_seconds: Annotated[int, Field(ge=1, le=86400)] = Field(
        default=120,
        description="Seconds that the trainer gets between SIGTERM and SIGKILL to save and exit; read when"
        " pods are created.",
    )
    energy: EnergySpec = Field(default=EnergySpec(), description="How much time may be given for fewer joules.")
    template: PodTemplate = Field(
        description="The pods, as a PodTemplateSpec. The container named trainer trains; only it may ask for"
        " nvidia.com/gpu. Immutable while the job is admitted."
    )

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                "self.launcher != 'torchrun' || self.template.spec.containers.all(c, !has(c.env)"
                f" || c.env.all(e, !(e.name in {list(TORCHRUN_VARIABLES)})))"
            ),
            message="template must not set PET_MASTER_ADDR, PET_MASTER_PORT, PET_NNODES or PET_NODE_RANK in"
            " env: launcher torchrun sets them; remove them or choose launcher none",
            holds=lambda self: (
                self.launcher is not Launcher.TORCHRUN or env_names(self.template).isdisjoint(TORCHRUN_VARIABLES)
            ),
            field=("template",),
        ),
    )

    @property
    def gpus_per_replica(self) -> int:
        """Whole GPUs that one pod asks for; 0 for training on the CPU."""
        return gpus_of(self.template)


class PodPlacement(ObservedModel):
    """Where one pod of the gang goes."""

    pod: Annotated[str, Field(max_length=253)] = Field(
        description="The pod's place in the gang: its hostname, <job>-<attempt>-<index>."
    )
    node: Annotated[str, Field(max_length=253)] = Field(description="The node.")
    gpu_model: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="The node's GPU model; absent for a pod without GPUs."
    )
    gpus: Annotated[int, Field(ge=0)] = Field(default=0, description="GPUs that the pod holds.")


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "Succeeded"
    """Every trainer exited with 0."""
    FAILED = "Failed"
    """A trainer exited with another code, or a pod was lost or refused."""


class Attempt(ObservedModel):
    """One try at running the gang, from admission to its end."""

    number: Annotated[int, Field(ge=1)] = Field(description="Counts from 1; part of the names of what is created.")
    started_at: Time = Field(description="When capacity was reserved.")
    placed_at: Time | None = Field(default=None, description="When every pod had its node.")
    running_at: Time | None = Field(default=None, description="When every pod ran.")
    finished_at: Time | None = Field(default=None, description="When the attempt ended.")
    outcome: Outcome | None = Field(default=None, description="How it ended; absent while it lasts.")
    reason: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Why it ended so, in one CamelCase word."
    )


class EnergyStatus(ObservedModel):
    """What the energy model expects of the placement."""

    predicted_watts: Annotated[float, Field(ge=0)] | None = Field(
        default=None,
        description="Power that the gang's GPUs and what they keep awake are expected to draw, in watts.",
    )


class TrainingJobStatus(ObservedModel):
    """What Ballast observes; all of it can be rebuilt."""

    phase: Phase = Field(
        default=Phase.PENDING,
        description="Pending: not seen by an operator yet. Queued: waits, nothing is created. Placing:"
        " capacity is reserved, pods start. Running: all pods run. Succeeded, Failed: ended.",
    )
    reason: Annotated[str, Field(max_length=63)] | None = Field(
        default=None, description="Why the phase is what it is now, in one CamelCase word."
    )
    observed_generation: Annotated[int, Field(ge=0)] | None = Field(
        default=None, description="The metadata.generation that this status is about."
    )
    queued_at: Time | None = Field(default=None, description="When the job was first queued.")
    started_at: Time | None = Field(default=None, description="When all pods first ran.")
    finished_at: Time | None = Field(default=None, description="When the job ended.")
    gpus: Annotated[int, Field(ge=0)] | None = Field(default=None, description="GPUs that the whole gang asks for.")
    nodes: Annotated[str, Field(max_length=1024)] | None = Field(
        default=None, description="The nodes in short, for people; placement has them in full."
    )
    placement: Annotated[
        tuple[PodPlacement, ...],
        Field(
            max_length=MAX_REPLICAS,
            json_schema_extra=_WRITTEN_WHOLE,
        ),
    ] = Field(default=(), description="Where each pod of the current attempt goes.")
    energy: EnergyStatus | None = Field(default=None, description="What the energy model expects of the placement.")
    attempts: Annotated[
        tuple[Attempt, ...],
        Field(
            max_length=MAX_ATTEMPTS,
            json_schema_extra=_WRITTEN_WHOLE,
        ),
    ] = Field(default=(), description=f"The newest {MAX_ATTEMPTS} attempts, oldest first.")
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=MAX_CONDITIONS,
            json_schema_extra={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]},
        ),
    ] = Field(default=(), description="What is true of the job now, since when and why.")


class ObjectMeta(ObservedModel):
    """The part of Kubernetes' object metadata that Ballast reads."""

    name: str
    namespace: str = "default"
    uid: str = ""
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


def _while_admitted(field: str) -> Rule:
    return Rule(
        cel=(
            "!(has(oldSelf.status) && has(oldSelf.status.conditions)"
            " && oldSelf.status.conditions.exists(c, c.type == 'Admitted' && c.status == 'True'))"
            f" || self.spec.{field} == oldSelf.spec.{field}"
        ),
        message=f"spec.{field} is immutable while the job is admitted: delete the job and create it anew",
        holds=None,
        field=("spec", field),
    )


class TrainingJob(ApiModel):
    """Trains a model in a gang of pods, for the fewest joules that the allowed slowdown permits."""

    resource: ClassVar[Resource] = Resource(
        kind=KIND,
        plural=PLURAL,
        short_names=("tj",),
        scope="Namespaced",
        columns=(
            Column("Phase", "string", ".status.phase", "Where the job stands."),
            Column("Replicas", "integer", ".spec.replicas", "Pods in the gang."),
            Column("GPUs", "integer", ".status.gpus", "GPUs that the gang asks for."),
            Column("Nodes", "string", ".status.nodes", "Where its pods are."),
            Column("Reason", "string", ".status.reason", "Why the phase is what it is."),
            Column("Watts", "number", ".status.energy.predictedWatts", "Predicted power.", wide_only=True),
            Column("Age", "date", ".metadata.creationTimestamp", "Time since creation."),
        ),
    )

    api_version: Literal["ballast.dev/v1alpha1"] = API_VERSION
    kind: Literal["TrainingJob"] = "TrainingJob"
    metadata: ObjectMeta
    spec: TrainingJobSpec
    status: TrainingJobStatus = TrainingJobStatus()

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.metadata.name.size() <= {MAX_NAME_LENGTH} && self.metadata.name.matches('^{NAME_PATTERN}$')",
            message=f"metadata.name must be at most {MAX_NAME_LENGTH} lower-case letters, digits and dashes, a letter"
            " first and no dash last: pods and the Service take their DNS names from it",
            holds=lambda self: (
                len(self.metadata.name) <= MAX_NAME_LENGTH
                and re.fullmatch(NAME_PATTERN, self.metadata.name, re.ASCII) is not None
            ),
            field=("metadata", "name"),
        ),
        _while_admitted("replicas"),
        _while_admitted("template"),
        _while_admitted("launcher"),
    )

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """Reads an object as the API server, or a manifest, has it.

        Raises:
            InvalidTrainingJob: It breaks the schema or a rule; names every field, value and remedy.
        """
        try:
            return cls.model_validate(obj, by_alias=True, by_name=False)
        except ValidationError as error:
            raise InvalidTrainingJob.of(obj, error) from error

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name

    @property
    def gpus(self) -> int:
        """Whole GPUs that the gang asks for."""
        return self.spec.replicas * self.spec.gpus_per_replica


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with an object.

    Attributes:
        field: Path of the field, as `kubectl explain` spells it.
        value: What stands there, shortened.
        remedy: What is expected.
    """

    field: str
    value: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.field}: {self.remedy}" + (f" (is {self.value})" if self.value else "")


class InvalidTrainingJob(UserError):
    """A TrainingJob that breaks the schema or a rule."""

    def __init__(self, key: tuple[str, str], problems: tuple[Problem, ...]) -> None:
        self.key = key
        self.problems = problems
        super().__init__(f"TrainingJob {key[0]}/{key[1]} is invalid: " + "; ".join(str(p) for p in problems))

    @classmethod
    def of(cls, obj: Mapping[str, Any], error: ValidationError) -> Self:
        """Retells pydantic's findings in the words of the API."""
        metadata = obj.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        key = (str(metadata.get("namespace", "default")), str(metadata.get("name", "?")))
        return cls(key, tuple(_problems(error)))


def _problems(error: ValidationError) -> Iterable[Problem]:
    for detail in error.errors(include_url=False):
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        value = "" if isinstance(detail["input"], ApiModel | Mapping) else repr(detail["input"])
        remedy = "unknown field: remove it" if detail["type"] == "extra_forbidden" else detail["msg"]
        yield Problem(field or "object", value if len(value) <= 80 else value[:79] + "…", remedy)


def nodes_in_short(nodes: Iterable[str], shown: int = 2) -> str:
    """Node names for a table column: the first few in order, then how many more."""
    distinct = list(dict.fromkeys(nodes))
    more = f" +{len(distinct) - shown}" if len(distinct) > shown else ""
    names = ",".join(distinct[:shown])
    room = MAX_NODES_LENGTH - len(more)
    return (names if len(names) <= room else names[: room - 1] + "…") + more
