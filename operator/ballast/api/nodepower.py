"""NodePower: what the operator asks of a node's GPUs, and what the node's agent found and did.

There is one for each node, of the same name. Invariant: `spec` is written by the operator only, `status` by that
node's agent only; a GPU whose pods no entry of `spec` names is never touched, and a pod's entry is obeyed only while
that pod holds a GPU, so that an entry that was left behind does nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from ballast.api.base import ApiModel
from ballast.api.kinds import AGE, Column, InvalidObject, Kind, Resource
from ballast.api.lists import Keyed
from ballast.api.nodestatus import NodePowerStatus, Uid
from ballast.api.operatingpoint import OperatingPoint

KIND = "NodePower"
PLURAL = "nodepowers"
MAX_PODS = 128


class InvalidNodePower(InvalidObject):
    """A NodePower that breaks the schema or a rule."""


class PodOperatingPoint(ApiModel):
    """The operating point of the GPUs that one pod holds."""

    uid: Uid = Field(description="The pod's UID: a new pod of the same name is another pod.")
    namespace: Annotated[str, Field(max_length=63)] | None = Field(default=None, description="For people.")
    name: Annotated[str, Field(max_length=253)] | None = Field(default=None, description="For people.")
    operating_point: OperatingPoint = Field(
        description="Power limit and clocks. Of a GPU that pods share, the loosest of their operating points holds."
    )


class FreeGpus(StrEnum):
    """What is done with GPUs that no pod holds."""

    LEAVE = "Leave"
    """Nothing: they stay as they were found."""
    PARK = "Park"
    """Their clocks go down as far as the GPU allows until a pod gets them."""


class WithoutOperator(StrEnum):
    """What an agent does when the operator's Lease is stale."""

    RESTORE = "Restore"
    """Every GPU gets back what was found: no operator, no caps."""
    HOLD = "Hold"
    """Operating points stay: a hard power budget goes before speed."""


class NodePowerSpec(ApiModel):
    """What the operator asks of the node's agent."""

    pods: Annotated[tuple[PodOperatingPoint, ...], Field(max_length=MAX_PODS), Keyed("uid")] = Field(
        default=(), description="Operating points of pods; GPUs of a pod that is not here are not touched."
    )
    free_gpus: FreeGpus = Field(
        default=FreeGpus.LEAVE,
        description="Leave: GPUs that no pod holds stay as they were found. Park: their clocks go down as far as the"
        " GPU allows until a pod gets them.",
    )
    without_operator: WithoutOperator = Field(
        default=WithoutOperator.RESTORE,
        description="What the agent does when the operator's Lease is stale. Restore: every GPU gets back what was"
        " found. Hold: operating points stay, because a hard power budget depends on them.",
    )


class NodePower(Kind):
    """The GPUs of the node of the same name: what the operator asks for, and what the node's agent found and did."""

    invalid: ClassVar[type[InvalidObject]] = InvalidNodePower
    resource: ClassVar[Resource] = Resource(
        kind=KIND,
        plural=PLURAL,
        short_names=("np",),
        scope="Cluster",
        columns=(
            Column("Model", "string", ".status.gpuModel", "GPU model."),
            Column("GPUs", "integer", ".status.gpuCount", "GPUs of the node."),
            Column("Capped", "integer", ".status.cappedGpus", "GPUs at another operating point than was found."),
            Column("Limit", "integer", ".status.limitWatts", "What its GPUs may draw now, in watts."),
            Column(
                "Ready", "string", ".status.conditions[?(@.type=='Ready')].status", "Whether the agent does its work."
            ),
            Column("Reason", "string", ".status.conditions[?(@.type=='Ready')].reason", "Why."),
            AGE,
            Column("Driver", "string", ".status.driver", "Driver version.", wide_only=True),
            Column("Free", "string", ".spec.freeGpus", "What is done with free GPUs.", wide_only=True),
        ),
    )

    kind: Literal["NodePower"] = "NodePower"
    spec: NodePowerSpec = NodePowerSpec()
    status: NodePowerStatus = NodePowerStatus()
