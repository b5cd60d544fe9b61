"""TrainingJob: what a user asks for, and what Ballast says about it.

Invariant: `spec` is intent and only people write it; `status` is observation and only the operator writes it. What
stands here is the contract, and the CRD is rendered from it; the release notes say which of it a release keeps.
"""

from __future__ import annotations

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final, Literal

from pydantic import Field

from ballast.api.base import ApiModel, Boolean, Integer, Rule
from ballast.api.earlystopping import EarlyStoppingSpec
from ballast.api.jobenergy import EnergySpec
from ballast.api.jobenergy import Objective as Objective  # read wherever the spec is
from ballast.api.jobstatus import MAX_REPLICAS, Phase, TrainingJobStatus
from ballast.api.kinds import AGE, Column, InvalidObject, Kind, Resource
from ballast.api.podtemplate import PodTemplate, env_names, gpus_of

KIND = "TrainingJob"
PLURAL = "trainingjobs"
# `<name>-<attempt>-<index>` is a pod's hostname, a DNS label of at most 63 characters: this leaves 9 digits
# for the attempt and 4 for the index. The gang's Service wants a letter first.
MAX_NAME_LENGTH = 48
NAME_PATTERN = "[a-z]([-a-z0-9]*[a-z0-9])?"
# CEL: whether the job was free to be edited before this edit. A rule at the root may look into the status, but not ask
# whether an optional field has a value: that costs a hundred times what the API server allows.
_IS_FREE: Final = (
    "!(has(oldSelf.status) && has(oldSelf.status.conditions)"
    " && oldSelf.status.conditions.exists(c, c.type == 'Admitted' && c.status == 'True'))"
)
_HAS_NOT_ENDED: Final = (
    "!(has(oldSelf.status) && has(oldSelf.status.phase)"
    f" && oldSelf.status.phase in {[phase.value for phase in Phase if phase.is_final]})"
)
_LEARNS: Final = "what its run teaches belongs to the old key; suspend the job first"
_JUDGES: Final = "its values so far are of the old one; suspend the job first"

TORCHRUN_VARIABLES = ("PET_MASTER_ADDR", "PET_MASTER_PORT", "PET_NNODES", "PET_NODE_RANK")


class InvalidTrainingJob(InvalidObject):
    """A TrainingJob that breaks the schema or a rule."""


class Launcher(StrEnum):
    """How the pods of a gang find each other."""

    TORCHRUN = "torchrun"
    """A headless Service and the PET_* variables that torchrun reads."""
    NONE = "none"
    """Not at all: the trainer is on its own."""


class TrainingJobSpec(ApiModel):
    """What to train, in how many pods, and how much time may be given for fewer joules."""

    replicas: Annotated[Integer, Field(ge=1, le=MAX_REPLICAS)] = Field(
        default=1,
        description="Pods in the gang: all are placed at once, or none. Immutable while the job is"
        " admitted and after its end.",
    )
    launcher: Launcher = Field(
        default=Launcher.NONE,
        description="torchrun: pods get PET_* variables and a headless Service, so that torchrun in the"
        " trainer forms one process group. none: nothing is added. Immutable while the job is"
        " admitted and after its end.",
    )
    suspend: Boolean = Field(
        default=False,
        description="true: stop the pods (SIGTERM, checkpointGraceSeconds), free what they hold, and start nothing"
        " until it is false again.",
    )
    retry_limit: Annotated[Integer, Field(ge=0, le=100)] = Field(
        default=3,
        description="How often the job is tried again after the trainer's own failure; failures of nodes and"
        " placements that came to nothing do not count.",
    )
    active_deadline_seconds: Annotated[Integer, Field(ge=1, le=315_360_000)] | None = Field(
        default=None,
        description="Seconds for which the gang may run, all attempts together, suspensions not counted; then it is"
        " stopped and the job has failed.",
    )
    ttl_seconds_after_finished: Annotated[Integer, Field(ge=0, le=315_360_000)] | None = Field(
        default=None,
        description="Seconds after its end at which the job is deleted, with its pods; absent: never.",
    )
    checkpoint_grace_seconds: Annotated[Integer, Field(ge=1, le=86400)] = Field(
        default=120,
        description="Seconds that the trainer gets between SIGTERM and SIGKILL to save and exit; read when"
        " pods are created.",
    )
    energy: EnergySpec = Field(
        default=EnergySpec(), description="How much time may be given for fewer joules, and how many joules there are."
    )
    early_stopping: EarlyStoppingSpec | None = Field(
        default=None,
        description="When more joules would no longer buy a better model. Absent: nothing is ever stopped early.",
    )
    template: PodTemplate = Field(
        description="The pods, as a PodTemplateSpec. The container named trainer trains; only it may ask for"
        " nvidia.com/gpu. Immutable while the job is"
        " admitted and after its end."
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
    def priority_class(self) -> str | None:
        """The template's `priorityClassName`; None for the cluster's default."""
        name = self.template["spec"].get("priorityClassName")
        return name or None

    @property
    def gpus_per_replica(self) -> int:
        """Whole GPUs that one pod asks for; 0 for training on the CPU."""
        return gpus_of(self.template)


def _admitted_or_ended(field: str) -> Rule:
    return Rule(
        # What holds at each of the operator's status writes is asked first.
        cel=f"self.spec.{field} == oldSelf.spec.{field} || {_IS_FREE} && {_HAS_NOT_ENDED}",
        message=f"spec.{field} is immutable while the job is admitted and after its end: delete the job and create it"
        " anew",
        holds=None,
        field=("spec", field),
    )


def _admitted(parent: str, field: str, why: str) -> Rule:
    """For a field that may be absent, in a parent that may be absent in the old or the new object."""
    old, new = f"oldSelf.spec.{parent}", f"self.spec.{parent}"
    same = f"has({new}.{field}) == has({old}.{field}) && (!has({new}.{field}) || {new}.{field} == {old}.{field})"
    return Rule(
        cel=f"{_IS_FREE} || !has({old}) || !has({new}) || {same}",
        message=f"spec.{parent}.{field} is immutable while the job is admitted: {why}",
        holds=None,
        field=("spec", parent, field),
    )


class TrainingJob(Kind):
    """Trains a model in a gang of pods, for the fewest joules that the allowed slowdown permits."""

    invalid: ClassVar[type[InvalidObject]] = InvalidTrainingJob
    resource: ClassVar[Resource] = Resource(
        kind=KIND,
        plural=PLURAL,
        short_names=("tj",),
        scope="Namespaced",
        columns=(
            Column("Phase", "string", ".status.phase", "Where the job stands."),
            Column("Reason", "string", ".status.reason", "Why the phase is what it is."),
            Column("Queue", "integer", ".status.queue.position", "Its place in the queue while it waits."),
            Column("GPUs", "integer", ".status.gpus", "GPUs that the gang asks for."),
            Column("Nodes", "string", ".status.nodes", "Where its pods are."),
            Column("Done%", "integer", ".status.progress.percent", "How much of the work is done."),
            Column("Watts", "integer", ".status.energy.watts", "Power that it draws."),
            Column("Energy", "string", ".status.energy.used", "Energy used so far."),
            AGE,
            Column("Priority", "string", ".spec.template.spec.priorityClassName", "Priority class.", wide_only=True),
            Column("Replicas", "integer", ".spec.replicas", "Pods in the gang.", wide_only=True),
            Column("Predicted", "number", ".status.energy.predictedWatts", "Predicted watts.", wide_only=True),
            Column("Saved%", "number", ".status.energy.savedPercent", "Energy saved so far.", wide_only=True),
        ),
    )

    kind: Literal["TrainingJob"] = "TrainingJob"
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
        _admitted_or_ended("replicas"),
        _admitted_or_ended("template"),
        _admitted_or_ended("launcher"),
        _admitted("energy", "profileKey", _LEARNS),
        _admitted("earlyStopping", "metric", _JUDGES),
        _admitted("earlyStopping", "trainingMetric", _JUDGES),
        _admitted("earlyStopping", "goal", _JUDGES),
    )

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.metadata.namespace, self.metadata.name

    @property
    def gpus(self) -> int:
        """Whole GPUs that the gang asks for."""
        return self.spec.replicas * self.spec.gpus_per_replica
