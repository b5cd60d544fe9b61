"""What the API server knows of a list beyond its length: whose items they are, and what tells one from another.

Invariant: each mark carries the schema keyword for the API server beside the same check in Python.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

_List = TypeVar("_List", bound=Iterable[Any])

ATOMIC: Final = {"x-kubernetes-list-type": "atomic"}
"""For `json_schema_extra`: one writer replaces the list, the API server need not remember who owns each item."""


@dataclass(frozen=True)
class Keyed:
    """A list whose items differ in one field, by which server-side apply merges them.

    Attributes:
        key: The field: one word, the same in manifests and in Python.
    """

    key: str

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Adds the check."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Adds the keywords."""
        return handler(schema) | {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": [self.key]}

    def _checked(self, items: _List) -> _List:
        _require_distinct((getattr(item, self.key) for item in items), f"items with the same {self.key}")
        return items


@dataclass(frozen=True)
class Distinct:
    """A list of scalars, none of them twice."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Adds the check."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Adds the keyword."""
        return handler(schema) | {"x-kubernetes-list-type": "set"}

    def _checked(self, items: _List) -> _List:
        _require_distinct(items, "the same item")
        return items


@dataclass(frozen=True)
class NotEmpty:
    """A list that holds something. Pydantic's own bound calls a tuple with one bad item too short as well."""

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Adds the check."""
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Adds the keyword."""
        return handler(schema) | {"minItems": 1}

    def _checked(self, items: _List) -> _List:
        if not any(True for _ in items):
            raise PydanticCustomError("empty", "must hold at least one item: leave it out if there is none")
        return items


def _require_distinct(values: Iterable[Any], what: str) -> None:
    seen: set[Any] = set()
    for value in values:
        if value in seen:
            raise PydanticCustomError(
                "duplicate", "must not hold {what} twice: {value}", {"what": what, "value": str(value)}
            )
        seen.add(value)
