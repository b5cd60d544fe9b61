"""Every bound of a rendered schema, with a manifest that breaks just it: made from the schema, to forget none.

Used twice: without a cluster to see that the models refuse what the CRD refuses, and against a real API server.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ballast.api.crds import structural_schema
from ballast.api.trainingjob import TrainingJob
from tests.unit.api.builders import ITEM, Manifest, Path, complete_job, get, put, remove

# What may stand in a schema node without limiting anything by itself. A keyword that is in neither table stops the
# tests, so that a new kind of bound can't go untested.
_NO_BOUND = {
    "additionalProperties",
    "default",
    "description",
    "items",
    "properties",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-validations",
}
# Keyword to what the API server says when it is broken.
SAYS = {
    "enum": "Unsupported value",
    "format": "must be of type date-time",
    "maxItems": "must have at most",
    "maxLength": "may not be more than",
    "maximum": "should be less than or equal to",
    "minItems": "should have at least",
    "minLength": "should be at least",
    "minimum": "should be greater than or equal to",
    "pattern": "should match",
    "required": "Required value",
    "x-kubernetes-list-type": "Duplicate value",
}


@dataclass(frozen=True)
class Bound:
    """One limit of the schema.

    Attributes:
        path: Where it stands.
        keyword: What it limits.
        value: Its value; for `required`, the one field.
        schema: The schema node.
    """

    path: Path
    keyword: str
    value: Any
    schema: Mapping[str, Any]

    def __str__(self) -> str:
        """The test's name."""
        return f"{spelled(self.path)}:{self.keyword}" + (f"={self.value}" if self.keyword == "required" else "")

    @property
    def blamed_field(self) -> str:
        """The field as the API server names it when the bound is broken."""
        if self.keyword == "required":
            return spelled((*self.path, self.value))
        if self.keyword == "x-kubernetes-list-type":
            return spelled(self.path) + "["
        return spelled(self.path)

    def broken(self) -> Manifest:
        """A manifest that is good but for this bound."""
        good = complete_job()
        if self.keyword == "required":
            return remove(good, (*self.path, self.value))
        return put(good, self.path, self._bad_value(get(good, self.path)))

    def just_kept(self) -> Manifest | None:
        """A manifest that reaches this bound and does not break it; None where that says nothing.

        GPU counts are bounded in two places that a rule holds together, so one alone can't be moved.
        """
        if "x-kubernetes-int-or-string" in self.schema or self.path[-1:] == ("type",):
            return None
        match self.keyword:
            case "minimum" | "maximum":
                return put(complete_job(), self.path, self.value)
            case "minLength" | "maxLength":
                container_of_trainer = ("containers", ITEM, "name")
                value = "A" * self.value
                return None if self.path[-3:] == container_of_trainer else put(complete_job(), self.path, value)
            case _:
                return None

    def _bad_value(self, good: Any) -> Any:
        match self.keyword:
            case "minimum":
                return self.value - 1
            case "maximum":
                return self.value + 1
            case "minLength":
                return "A" * (self.value - 1)
            case "maxLength":
                return ("1" if "x-kubernetes-int-or-string" in self.schema else "A") * (self.value + 1)
            case "pattern":
                return "-"
            case "enum":
                return "Nonsense"
            case "format":
                return "yesterday"
            case "minItems":
                return []
            case "maxItems":
                return [good[0] | _distinct_key(good[0], index) for index in range(self.value + 1)]
            case "x-kubernetes-list-type":
                return [*good, good[0]]
            case _:
                raise AssertionError(f"no way to break {self} is known: add one")


def _distinct_key(item: Mapping[str, Any], index: int) -> dict[str, Any]:
    """A change that makes an item of a keyed list another item."""
    if "number" in item:
        return {"number": index + 1}
    key = next(key for key in ("name", "pod", "type") if key in item)
    return {key: item[key] + (f"{index}" if index else "")}


def spelled(path: Path) -> str:
    """A path as error messages spell it."""
    return "".join("[0]" if name == ITEM else f".{name}" for name in path).removeprefix(".")


def all_bounds() -> list[Bound]:
    """Every bound of TrainingJob's schema."""
    return list(_bounds(structural_schema(TrainingJob), ()))


def all_rules() -> list[Mapping[str, str]]:
    """Every CEL rule of TrainingJob's schema, once."""
    rules = {rule["message"]: rule for rule in _rules(structural_schema(TrainingJob))}
    return list(rules.values())


def _bounds(schema: Mapping[str, Any], path: Path) -> Iterator[Bound]:
    for keyword, value in schema.items():
        if keyword == "required":
            yield from (Bound(path, keyword, field, schema) for field in value)
        elif value == "atomic":
            assert keyword == "x-kubernetes-list-type"
        elif keyword in SAYS:
            yield Bound(path, keyword, value, schema)
        elif keyword not in _NO_BOUND:
            raise AssertionError(f"{spelled(path)}: say whether {keyword} is a bound, and how to break it")
    for name, child in schema.get("properties", {}).items():
        yield from _bounds(child, (*path, name))
    if "items" in schema:
        yield from _bounds(schema["items"], (*path, ITEM))


def _rules(schema: Mapping[str, Any]) -> Iterator[Mapping[str, str]]:
    yield from schema.get("x-kubernetes-validations", ())
    for child in schema.get("properties", {}).values():
        yield from _rules(child)
    if "items" in schema:
        yield from _rules(schema["items"])
