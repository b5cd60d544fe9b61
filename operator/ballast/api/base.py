"""What every API model shares: names, rules and times.

Invariant: a fact about an object is written once. A bound is a pydantic constraint; what spans several
fields is a `Rule`, which carries the CEL expression for the API server beside the Python predicate for
everybody who reads objects without one (the simulator, tests). `crds` renders both from the models.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError

API_VERSION: Final = "ballast.dev/v1alpha1"
GROUP, VERSION = API_VERSION.split("/")


@dataclass(frozen=True)
class Rule:
    """What one object can say about itself across fields.

    Attributes:
        cel: The expression for the API server; `self` is the model that declares the rule.
        message: One sentence that names the field and the remedy.
        holds: The same predicate in Python on the validated model; None for a transition rule, which compares
            with `oldSelf` and therefore means nothing for a single object.
        field: The field to blame, as attribute names in the API (camelCase), relative to the model.
    """

    cel: str
    message: str
    holds: Callable[[Any], bool] | None
    field: tuple[str, ...] = ()

    @property
    def field_path(self) -> str:
        """The field as the API server's `fieldPath` takes it; empty for metadata, which no schema declares."""
        if self.field[:1] == ("metadata",):
            return ""
        return "".join(f".{name}" if name.isalnum() else f"['{name}']" for name in self.field)


@dataclass(frozen=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    type: Literal["string", "integer", "number", "boolean", "date"]
    json_path: str
    description: str
    wide_only: bool = False


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


class ApiModel(BaseModel):
    """A frozen part of a spec: camelCase in manifests, snake_case in Python, unknown fields refused."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        validate_by_name=True,
        validate_by_alias=True,
        frozen=True,
        extra="forbid",
    )

    rules: ClassVar[tuple[Rule, ...]] = ()
    resource: ClassVar[Resource]
    """Only on a model that is a kind of its own."""

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        broken: list[InitErrorDetails] = [
            {
                "type": PydanticCustomError("rule", "{message}", {"message": rule.message}),
                "loc": rule.field,
                "input": _at(self, rule.field),
            }
            for rule in self.rules
            if rule.holds is not None and not rule.holds(self)
        ]
        if broken:
            raise ValidationError.from_exception_data(type(self).__name__, broken)
        return self

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Adds the model's rules to its JSON schema, as the API server spells them."""
        schema = handler.resolve_ref_schema(handler(core_schema))
        if cls.rules:
            schema["x-kubernetes-validations"] = [
                {"rule": rule.cel, "message": rule.message}
                | ({"fieldPath": rule.field_path} if rule.field_path else {})
                for rule in cls.rules
            ]
        return schema

    def to_manifest(self) -> dict[str, Any]:
        """This object as it stands in a manifest: camelCase, JSON types, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


class ObservedModel(ApiModel):
    """A frozen part of a status or of metadata: what a newer version wrote is ignored, not refused."""

    model_config = ConfigDict(extra="ignore")


def _at(model: BaseModel, path: tuple[str, ...]) -> Any:
    """The value that stands at a path of API names, as the user wrote it."""
    value: Any = model.model_dump(by_alias=True, exclude_unset=True)
    for name in path:
        value = value.get(name) if isinstance(value, dict) else None
    return value


def _whole_seconds_utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=0)


def _rfc3339(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[AwareDatetime, AfterValidator(_whole_seconds_utc), PlainSerializer(_rfc3339, when_used="json")]
"""A moment in UTC in the whole seconds that Kubernetes keeps: what was written equals what is read back."""
