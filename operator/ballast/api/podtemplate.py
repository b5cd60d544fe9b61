"""The pod template of a TrainingJob: kept exactly as the user wrote it, checked where Ballast depends on it.

Invariant: the value is the raw mapping, untouched, so that whatever Kubernetes adds to pods passes through.
The models here are a *view*: they declare only what rules or code need, and let the rest be. A rule can look
into declared fields only, and the API server weighs its cost by the bounds of the lists that it walks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, GetJsonSchemaHandler, WithJsonSchema
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

from ballast.api.base import ApiModel, Rule
from ballast.api.lists import Keyed

TRAINER_CONTAINER = "trainer"
GPU_RESOURCE = "nvidia.com/gpu"
PLACEMENT_GATE = "ballast.dev/placement"
MAX_CONTAINERS = 32
MAX_DEPTH = 64

_GPU_IN_CEL = "nvidia__dot__com__slash__gpu"  # how CEL spells a property name with a dot and a slash
_GPU_COUNT = "[1-9][0-9]{0,2}"


def _gpu_count(value: Any) -> Any:
    is_count = not isinstance(value, bool) and re.fullmatch(_GPU_COUNT, str(value)) is not None
    if not is_count:
        raise PydanticCustomError("gpu_count", "must be a whole number, 1 to 999; leave it out to train on the CPU")
    return value


_GpuCount = Annotated[
    int | str | None,
    BeforeValidator(_gpu_count),
    WithJsonSchema(
        {
            "x-kubernetes-int-or-string": True,
            "minimum": 1,
            "maximum": 999,
            "pattern": f"^{_GPU_COUNT}$",
            "maxLength": 3,
        }
    ),
]
"""Whole GPUs, as a number or as text: Kubernetes takes both."""


class _View(ApiModel):
    """A part of the pod template of which only some fields are declared; the others are kept."""

    model_config = ConfigDict(extra="allow")


class _Resources(_View):
    """What a container asks for, by resource name."""

    gpus: _GpuCount = Field(default=None, alias=GPU_RESOURCE, description="Whole GPUs, at least 1.")


class _ResourceRequirements(_View):
    """A container's requests and limits."""

    requests: _Resources | None = Field(default=None, description="What is set aside for the container.")
    limits: _Resources | None = Field(default=None, description="What the container may use at most.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=(
                f"!has(self.requests) || !has(self.requests.{_GPU_IN_CEL}) || (has(self.limits)"
                f" && has(self.limits.{_GPU_IN_CEL})"
                f" && string(self.limits.{_GPU_IN_CEL}) == string(self.requests.{_GPU_IN_CEL}))"
            ),
            message="nvidia.com/gpu in requests must equal limits: set it in limits only",
            holds=lambda self: (
                self.requests is None
                or self.requests.gpus is None
                or (self.limits is not None and str(self.limits.gpus) == str(self.requests.gpus))
            ),
            field=("requests",),
        ),
    )


class _EnvironmentVariable(_View):
    """An environment variable, with a value or where it comes from."""

    name: Annotated[str, Field(min_length=1, max_length=256)] = Field(description="Its name.")


class _Container(_View):
    """A container; the one named trainer trains."""

    name: Annotated[str, Field(min_length=1, max_length=63)] = Field(description="A DNS label.")
    env: Annotated[tuple[_EnvironmentVariable, ...], Field(max_length=256)] = Field(
        default=(), description="Environment variables."
    )
    resources: _ResourceRequirements | None = Field(default=None, description="Requests and limits.")

    @property
    def asks_for_gpus(self) -> bool:
        return (
            self.resources is not None and self.resources.limits is not None and self.resources.limits.gpus is not None
        )


class _SchedulingGate(_View):
    """A scheduling gate: holds the pod back until its owner removes it."""

    name: Annotated[str, Field(min_length=1, max_length=316)] = Field(description="Names the gate's owner.")


def _absent(field: str, attribute: str, why: str) -> Rule:
    return Rule(
        cel=f"!has(self.{field})",
        message=f"{field} must be absent: {why}",
        holds=lambda self: getattr(self, attribute) is None,
        field=(field,),
    )


class _PodSpec(_View):
    """The pod's spec as Kubernetes has it."""

    containers: Annotated[
        list[_Container],  # a tuple with a bad item would be called too short as well
        Field(min_length=1, max_length=MAX_CONTAINERS),
        Keyed("name"),
    ] = Field(description="Exactly one of them is named trainer.")
    init_containers: Annotated[tuple[_Container, ...], Field(max_length=MAX_CONTAINERS), Keyed("name")] = Field(
        default=(), description="Run before the containers, or beside them as sidecars."
    )
    scheduling_gates: Annotated[tuple[_SchedulingGate, ...], Field(max_length=16), Keyed("name")] = Field(
        default=(), description="Gates of others; ballast.dev/placement is Ballast's own."
    )
    restart_policy: Literal["Never"] | None = Field(
        default=None, description="Never or absent: a gang starts again as a whole, not pod by pod."
    )
    node_name: str | None = Field(default=None, description="Must be absent.")
    hostname: str | None = Field(default=None, description="Must be absent.")
    subdomain: str | None = Field(default=None, description="Must be absent.")
    termination_grace_period_seconds: int | None = Field(default=None, description="Must be absent.")

    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            cel=f"self.containers.exists_one(c, c.name == '{TRAINER_CONTAINER}')",
            message="containers must hold exactly one container named trainer: the one that trains",
            holds=lambda self: sum(c.name == TRAINER_CONTAINER for c in self.containers) == 1,
            field=("containers",),
        ),
        Rule(
            cel=(
                f"self.containers.all(c, c.name == '{TRAINER_CONTAINER}' || !has(c.resources)"
                f" || !has(c.resources.limits) || !has(c.resources.limits.{_GPU_IN_CEL}))"
            ),
            message="containers may ask for nvidia.com/gpu only in the one named trainer",
            holds=lambda self: all(c.name == TRAINER_CONTAINER or not c.asks_for_gpus for c in self.containers),
            field=("containers",),
        ),
        Rule(
            cel=(
                "!has(self.initContainers) || self.initContainers.all(c, !has(c.resources)"
                f" || !has(c.resources.limits) || !has(c.resources.limits.{_GPU_IN_CEL}))"
            ),
            message="initContainers may not ask for nvidia.com/gpu: only the container named trainer may",
            holds=lambda self: not any(c.asks_for_gpus for c in self.init_containers),
            field=("initContainers",),
        ),
        Rule(
            cel=f"!has(self.schedulingGates) || self.schedulingGates.all(g, g.name != '{PLACEMENT_GATE}')",
            message="schedulingGates must not name ballast.dev/placement: Ballast sets and removes it",
            holds=lambda self: all(gate.name != PLACEMENT_GATE for gate in self.scheduling_gates),
            field=("schedulingGates",),
        ),
        _absent("nodeName", "node_name", "Ballast chooses the node; use nodeSelector or affinity to narrow it"),
        _absent("hostname", "hostname", "it follows from the pod's index in the gang"),
        _absent("subdomain", "subdomain", "it is the gang's headless Service"),
        _absent(
            "terminationGracePeriodSeconds",
            "termination_grace_period_seconds",
            "set spec.checkpointGraceSeconds of the TrainingJob instead",
        ),
    )


class _PodTemplate(_View):
    """A PodTemplateSpec."""

    metadata: dict[str, Any] | None = Field(default=None, description="Labels and annotations of the pods.")
    spec: _PodSpec = Field(description="The pod's spec as Kubernetes has it.")


def _checked(template: dict[str, Any]) -> dict[str, Any]:
    _check_depth(template)
    _PodTemplate.model_validate(template, by_alias=True, by_name=False)
    return template


def _check_depth(template: Mapping[str, Any]) -> None:
    """Refuse what is nested so deep that it could not be copied; the API server takes ten thousand levels."""
    level: list[Any] = [template]
    for _ in range(MAX_DEPTH):
        level = [value for each in level for value in _inside(each) if isinstance(value, (dict, list))]
    if level:
        raise PydanticCustomError("depth", f"must not be nested deeper than {MAX_DEPTH} levels: no pod's spec is")


def _inside(value: Any) -> Iterable[Any]:
    return value.values() if isinstance(value, dict) else value


class _SchemaOfView:
    """Gives the raw mapping the JSON schema of the view that checks it."""

    def __get_pydantic_json_schema__(self, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return handler(_PodTemplate.__pydantic_core_schema__)


PodTemplate = Annotated[dict[str, Any], AfterValidator(_checked), _SchemaOfView()]
"""A PodTemplateSpec as the user wrote it, checked."""


def trainer_container(template: Mapping[str, Any]) -> Mapping[str, Any]:
    """The container named `trainer` of a checked template."""
    container: Mapping[str, Any] = next(c for c in template["spec"]["containers"] if c["name"] == TRAINER_CONTAINER)
    return container


def gpus_of(template: Mapping[str, Any]) -> int:
    """Whole GPUs that one pod of a checked template asks for; 0 for training on the CPU."""
    limits = (trainer_container(template).get("resources") or {}).get("limits") or {}
    return int(limits.get(GPU_RESOURCE) or 0)


def env_names(template: Mapping[str, Any]) -> frozenset[str]:
    """The environment variables that any container of a checked template sets."""
    return frozenset(e["name"] for c in template["spec"]["containers"] for e in c.get("env") or ())
