"""What every API model shares: names, rules and times.

Invariant: a fact about an object is written once. A bound is a pydantic constraint; what spans several
fields is a `Rule`, which carries the CEL expression for the API server beside the Python predicate for
everybody who reads objects without one (the simulator, tests). `crds` renders both from the models. A number
or a truth value is one, as for the API server: text that looks like one is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Final, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    ValidationError,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel, to_snake
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

    def rendered(self, only_if: str | None = None) -> dict[str, str]:
        """The rule as it stands in a schema; `only_if` is a CEL expression for when it applies at all."""
        cel = self.cel if only_if is None else f"!({only_if}) || ({self.cel})"
        rule = {"rule": cel, "message": self.message}
        return rule | ({"fieldPath": self.field_path} if self.field_path else {})


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

    @model_validator(mode="before")
    @classmethod
    def _null_is_absent(cls, value: Any) -> Any:
        """As for the API server, which takes every null out before it looks for defaults."""
        if isinstance(value, Mapping) and None in value.values():
            return {name: given for name, given in value.items() if given is not None}
        return value

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
            schema["x-kubernetes-validations"] = [rule.rendered() for rule in cls.rules]
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


Integer = Annotated[int, Field(strict=True)]
"""A whole number, not text nor a truth value."""
Number = Annotated[float, Field(strict=True, allow_inf_nan=False)]
"""A number, not text nor a truth value."""
Boolean = Annotated[bool, Field(strict=True)]
"""True or false, not text nor a number."""


class Enforcement(StrEnum):
    """Whether a verdict is carried out."""

    ENFORCE = "Enforce"
    """Yes."""
    ADVISE = "Advise"
    """No: a condition says what would have been done."""


def positive(field: str) -> Rule:
    """The rule that a quantity, if it is there, is more than zero; bounds can't say that of text with a unit."""
    attribute = to_snake(field)
    return Rule(
        cel=f"!has(self.{field}) || self.{field}.matches('[1-9]')",
        message=f"{field} must be more than zero: leave it out if nothing is to be limited",
        holds=lambda self: getattr(self, attribute) is None or getattr(self, attribute) > 0,
        field=(field,),
    )


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", re.ASCII)


def _moment(value: Any) -> Any:
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC3339.fullmatch(value)):
        return value
    raise PydanticCustomError("moment", "Input should be a moment with a time zone, as in 2026-01-02T03:04:05Z")


def _whole_seconds_utc(time: datetime) -> datetime:
    return time.astimezone(UTC).replace(microsecond=0)


def _rfc3339(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


Time = Annotated[
    AwareDatetime,
    BeforeValidator(_moment),
    AfterValidator(_whole_seconds_utc),
    PlainSerializer(_rfc3339, when_used="json"),
]
"""A moment in UTC in the whole seconds that Kubernetes keeps: what was written equals what is read back."""


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_AFTER_1970: Final = "must be a moment after 1970"


def _after_1970(time: datetime) -> datetime:
    if time <= _EPOCH:
        raise PydanticCustomError("rule", _AFTER_1970)
    return time


WrittenTime = Annotated[
    Time,
    AfterValidator(_after_1970),
    WithJsonSchema(
        {
            "type": "string",
            "format": "date-time",
            "x-kubernetes-validations": [{"rule": "self > timestamp('1970-01-01T00:00:00Z')", "message": _AFTER_1970}],
        }
    ),
]
"""A moment in a spec. The rule is there because without one the API server takes any list for a date-time."""
