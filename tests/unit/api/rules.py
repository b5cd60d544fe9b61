"""Every rule that spans fields, found in the rendered schemas, and cases that break it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from ballast.api.crds import structural_schema
from ballast.api.kinds import Kind
from tests.unit.api.builders import Manifest, Path, put


@dataclass(frozen=True)
class SchemaRule:
    """A CEL rule of a schema.

    Attributes:
        field: What it blames, with `[]` for any item of a list; empty for metadata, which no schema declares.
        message: What it says.
        is_transition: Whether it compares with the old object.
    """

    field: str
    message: str
    is_transition: bool

    def is_told_by(self, cause: str) -> bool:
        """Whether the API server's `field: message` says that just this rule is broken."""
        at, _, message = cause.partition(": ")
        return message.endswith(self.message) and (not self.field or _any_item(at) == self.field)


@dataclass(frozen=True)
class BrokenRule:
    """One manifest that a rule refuses.

    Attributes:
        kind: What it is a manifest of.
        why: The test's name.
        says: How the rule's message begins.
        manifest: The manifest.
    """

    kind: type[Kind]
    why: str
    says: str
    manifest: Manifest = field(repr=False)

    def __str__(self) -> str:
        """The test's name."""
        return f"{self.kind.resource.short_names[0]}.{self.why}"


@dataclass(frozen=True)
class ForbiddenEdit:
    """A change that a transition rule refuses.

    Attributes:
        kind: What is changed.
        why: The test's name.
        says: How the rule's message begins.
        before: The object before, with its status.
        path: The field.
        value: Its new value.
    """

    kind: type[Kind]
    why: str
    says: str
    before: Manifest = field(repr=False)
    path: Path
    value: Any

    def __str__(self) -> str:
        """The test's name."""
        return f"{self.kind.resource.short_names[0]}.{self.why}"

    @property
    def after(self) -> Manifest:
        """The object as it would be."""
        return put(self.before, self.path, self.value)


@cache
def all_rules(kind: type[Kind]) -> tuple[SchemaRule, ...]:
    """Every CEL rule of a kind's schema."""
    return tuple(_rules(structural_schema(kind), ""))


def _rules(schema: Mapping[str, Any], path: str) -> Iterator[SchemaRule]:
    for rule in schema.get("x-kubernetes-validations", ()):
        at = (path + rule.get("fieldPath", "")).removeprefix(".")
        yield SchemaRule(at, rule["message"], "oldSelf" in rule["rule"])
    for name, child in schema.get("properties", {}).items():
        yield from _rules(child, f"{path}.{name}")
    if "items" in schema:
        yield from _rules(schema["items"], f"{path}[]")


def _any_item(at: str) -> str:
    return re.sub(r"\[\d+\]", "[]", at)
