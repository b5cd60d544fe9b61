"""What every kind shares: how the API server serves it, how an object is read, and what is said of a bad one.

Invariant: whoever reads an object gets a checked model or an `InvalidObject` that names every field, value and remedy;
there is no third way.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationError

from ballast.api.base import API_VERSION, ApiModel, ObservedModel, Time
from ballast.errors import UserError

MAX_NAME_LENGTH = 253
SUBDOMAIN_PATTERN = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
"""What Kubernetes asks of most names (RFC 1123); its API server refuses others before it looks at a schema."""


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "date"]
    json_path: str
    description: str
    wide_only: bool = False


AGE = Column("Age", "date", ".metadata.creationTimestamp", "Time since creation.")


@dataclass(frozen=True)
class Resource:
    """How the API server serves a kind.

    Attributes:
        kind: The kind, in CamelCase.
        plural: Its name in URLs and RBAC.
        short_names: What people type.
        scope: Whether its objects live in a namespace.
        columns: What `kubectl get` shows after the name.
    """

    kind: str
    plural: str
    short_names: tuple[str, ...]
    scope: Literal["Namespaced", "Cluster"]
    columns: tuple[Column, ...]


class ObjectMeta(ObservedModel):
    """The part of Kubernetes' object metadata that Ballast reads."""

    name: Annotated[str, Field(min_length=1, max_length=MAX_NAME_LENGTH, pattern=SUBDOMAIN_PATTERN)]
    namespace: str = "default"
    uid: str = ""
    generation: int = 1
    resource_version: str = ""
    creation_timestamp: Time | None = None
    deletion_timestamp: Time | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    annotations: dict[str, str] = Field(default_factory=dict)


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


class InvalidObject(UserError):
    """An object that breaks its schema or a rule.

    Attributes:
        resource: What kind of object it is.
        key: Its namespace and name; an object of a cluster-scoped kind has no namespace.
        problems: Everything that is wrong with it.
    """

    def __init__(self, resource: Resource, key: tuple[str, str], problems: tuple[Problem, ...]) -> None:
        self.resource = resource
        self.key = key
        self.problems = problems
        name = "/".join(part for part in key if part)
        super().__init__(f"{resource.kind} {name} is invalid: " + "; ".join(str(problem) for problem in problems))

    @classmethod
    def of(cls, resource: Resource, obj: Mapping[str, Any], error: ValidationError) -> Self:
        """Retells pydantic's findings in the words of the API."""
        metadata = obj.get("metadata")
        metadata = metadata if isinstance(metadata, Mapping) else {}
        namespace = str(metadata.get("namespace", "default")) if resource.scope == "Namespaced" else ""
        return cls(resource, (namespace, str(metadata.get("name", "?"))), tuple(_problems(error)))


class Kind(ApiModel):
    """An object of the API, whole: the models of the four kinds add their spec and their status."""

    resource: ClassVar[Resource]
    invalid: ClassVar[type[InvalidObject]]
    """What `parse` raises."""

    api_version: Literal["ballast.dev/v1alpha1"] = API_VERSION
    kind: str
    metadata: ObjectMeta

    @classmethod
    def parse(cls, obj: Mapping[str, Any]) -> Self:
        """Reads an object as the API server, or a manifest, has it.

        Raises:
            InvalidObject: It breaks the schema or a rule; names every field, value and remedy. It is the kind's own
                subclass, as in `InvalidTrainingJob`.
        """
        try:
            return cls.model_validate(obj, by_alias=True, by_name=False)
        except ValidationError as error:
            raise cls.invalid.of(cls.resource, obj, error) from error

    @property
    def name(self) -> str:
        """The object's name."""
        return self.metadata.name


def _problems(error: ValidationError) -> Iterable[Problem]:
    for detail in error.errors(include_url=False):
        field = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in detail["loc"]).lstrip(".")
        value = "" if isinstance(detail["input"], ApiModel | Mapping) else repr(detail["input"])
        remedy = "unknown field: remove it" if detail["type"] == "extra_forbidden" else detail["msg"]
        yield Problem(field or "object", value if len(value) <= 80 else value[:79] + "…", remedy)
