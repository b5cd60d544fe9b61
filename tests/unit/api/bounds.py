"""Every bound of every rendered schema, with a manifest that breaks just it: made from the schema, to forget none.

Used twice: without a cluster to see that the models refuse what the CRDs refuse, and against a real API server.
Invariant: a keyword that is not known here stops the tests, and so does a field that no complete manifest sets.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ballast.api.crds import KINDS, structural_schema
from ballast.api.kinds import Kind
from ballast.api.podtemplate import GPU_RESOURCE
from tests.unit.api.builders import Manifest, Path, put, remove
from tests.unit.api.kinds import COMPLETE

# What may stand in a schema node without limiting anything by itself.
_NO_BOUND = {
    "additionalProperties",
    "default",
    "description",
    "exclusiveMaximum",  # these two say how maximum and minimum are meant
    "exclusiveMinimum",
    "items",
    "properties",
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
    "maxProperties": "must have at most",
    "maximum": "should be less than",
    "minItems": "should have at least",
    "minLength": "should be at least",
    "minProperties": "should have at least",
    "minimum": "should be greater than",
    "pattern": "should match",
    "required": "Required value",
    "type": "must be of type",
    "x-kubernetes-list-type": "Duplicate value",
}
# A value of another type, which a lenient reader would take for one of this.
_OTHER_TYPE: dict[str, Any] = {
    "array": {},
    "boolean": "true",
    "integer": "7",
    "number": "7",
    "object": "x",
    "string": 7,
}


@dataclass(frozen=True)
class Bound:
    """One limit of a schema.

    Attributes:
        kind: Whose schema.
        path: Where it stands, in the kind's complete manifest.
        keyword: What it limits.
        value: Its value; for `required`, the one field.
        schema: The schema node.
        good: What stands there; None for a field that a rule forbids.
    """

    kind: type[Kind]
    path: Path
    keyword: str
    value: Any
    schema: Mapping[str, Any] = field(repr=False)
    good: Any = field(repr=False)

    def __str__(self) -> str:
        """The test's name."""
        what = f"{self.keyword}={self.value}" if self.keyword == "required" else self.keyword
        return f"{self.kind.resource.short_names[0]}.{spelled(self.path)}:{what}"

    @property
    def of_status(self) -> bool:
        """Whether it limits the status, which is written by itself."""
        return self.path[:1] == ("status",)

    @property
    def field(self) -> str:
        """The field that is wrong when the bound is broken."""
        return spelled((*self.path, self.value) if self.keyword == "required" else self.path)

    def is_told_by(self, cause: str) -> bool:
        """Whether the API server's `field: message` says that just this bound is broken."""
        at, _, message = cause.partition(": ")
        # Of items that are equal, the later one is blamed.
        at = re.sub(r"\[\d+\]$", "", at) if self.keyword == "x-kubernetes-list-type" else at
        return at == self.field and SAYS[self.keyword] in message

    def broken(self) -> Manifest:
        """A manifest that is good but for this bound."""
        good = COMPLETE[self.kind]()
        if self.keyword == "required":
            return remove(good, (*self.path, self.value))
        return put(good, self.path, self._bad_value())

    def just_kept(self) -> Manifest | None:
        """A manifest that reaches this bound and does not break it; None where that says nothing.

        GPU counts are bounded in two places that a rule holds together, so one alone can't be moved.
        """
        if "x-kubernetes-int-or-string" in self.schema:
            return None
        value: Any = None
        match self.keyword:
            case "minimum" | "maximum" if f"exclusive{self.keyword.capitalize()}" not in self.schema:
                value = self.value
            case "minLength" | "maxLength":
                same = (letter * self.value for letter in "Aa1")
                pattern = re.compile(self.schema.get("pattern", ""))
                value = next((text for text in same if pattern.search(text)), None)
        return None if value is None else put(COMPLETE[self.kind](), self.path, value)

    def _bad_value(self) -> Any:
        match self.keyword:
            case "minimum":
                return self.value if "exclusiveMinimum" in self.schema else self.value - 1
            case "maximum":
                return self.value if "exclusiveMaximum" in self.schema else self.value + 1
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
                return (self.good * (self.value + 1))[: self.value + 1]
            case "minProperties":
                return {}
            case "maxProperties":
                return {
                    f"{next(iter(self.good))}-{number}": next(iter(self.good.values()))
                    for number in range(self.value + 1)
                }
            case "type":
                return _OTHER_TYPE[self.value]
            case "x-kubernetes-list-type":
                return [*self.good, self.good[0]]
            case _:
                raise AssertionError(f"no way to break {self} is known: add one")


def spelled(path: Path) -> str:
    """A path as error messages spell it."""
    return "".join(f"[{name}]" if isinstance(name, int) else f".{name}" for name in path).removeprefix(".")


@cache
def all_bounds() -> tuple[Bound, ...]:
    """Every bound of every kind's schema."""
    return tuple(bound for kind in KINDS for bound in _bounds(kind, structural_schema(kind), [((), COMPLETE[kind]())]))


_Spot = tuple[Path, Any]
"""A path in the complete manifest, and what stands there."""


def _bounds(kind: type[Kind], schema: Mapping[str, Any], spots: list[_Spot]) -> Iterator[Bound]:
    """The bounds of a schema node and of all below it; `spots` are all the places that the node describes."""
    path, good = spots[0]
    for keyword, value in schema.items():
        if keyword == "required":
            yield from (Bound(kind, path, keyword, name, schema, good) for name in value)
        elif value == "atomic" or path == ():
            continue  # nothing is refused, or Kubernetes itself refuses it
        elif keyword in SAYS:
            yield Bound(kind, path, keyword, value, schema, good)
        elif keyword not in _NO_BOUND:
            raise AssertionError(f"{spelled(path)}: say whether {keyword} is a bound, and how to break it")
    for name, child in schema.get("properties", {}).items():
        if (*path, name) in (("apiVersion",), ("kind",), ("metadata",)):
            continue
        inside = [((*at, name), value[name]) for at, value in spots if name in value]
        forbidden = child["description"] == "Must be absent." or ("initContainers" in path and name == GPU_RESOURCE)
        if not inside and not forbidden:
            raise AssertionError(f"{spelled((*path, name))} is not set in the complete manifest of {kind.__name__}")
        yield from _bounds(kind, child, inside or [((*path, name), None)])
    if "items" in schema:
        items = [((*at, index), item) for at, value in spots for index, item in enumerate(value)]
        yield from _bounds(kind, schema["items"], items)
    if "additionalProperties" in schema:
        values = [((*at, key), item) for at, value in spots for key, item in value.items()]
        yield from _bounds(kind, schema["additionalProperties"], values)
