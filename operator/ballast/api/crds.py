"""Renders the CustomResourceDefinitions from the models.

Invariant: the models are the one source. Nobody edits the YAML; `--check` fails with a diff when the files differ
from the models. What pydantic writes as JSON schema becomes what the API server calls structural: no `$ref`, no
`null`, a type everywhere, unknown fields kept only where a model says so.
"""

from __future__ import annotations

import argparse
import copy
import difflib
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from ballast.api.base import GROUP, VERSION, ApiModel
from ballast.api.energybudget import EnergyBudget
from ballast.api.energyprofile import EnergyProfile
from ballast.api.kinds import Kind
from ballast.api.nodepower import NodePower
from ballast.api.trainingjob import TrainingJob
from ballast.errors import UserError

KINDS: tuple[type[Kind], ...] = (TrainingJob, EnergyBudget, NodePower, EnergyProfile)
"""Every kind that is served, as its model; a model names its resource."""

_HEADER = "# Rendered from operator/ballast/api by `make crds`. Do not edit: change the model.\n"
_INT_OR_STRING = "x-kubernetes-int-or-string"
_PRESERVE = "x-kubernetes-preserve-unknown-fields"

Schema = dict[str, Any]


class SchemaError(UserError):
    """A model uses something that a structural schema can't say: a mistake in the model, found when rendering."""


def render() -> dict[str, str]:
    """Every CRD as YAML, by file name."""
    rendered = {}
    for model in KINDS:
        crd = definition(model)
        text = yaml.safe_dump(crd, sort_keys=False, width=110, allow_unicode=True)
        rendered[f"{crd['metadata']['name']}.yaml"] = _HEADER + text
    return rendered


def definition(model: type[Kind]) -> dict[str, Any]:
    """The CustomResourceDefinition of one kind."""
    resource = model.resource
    singular = resource.kind.lower()
    version: dict[str, Any] = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": structural_schema(model)},
        "subresources": {"status": {}},  # spec and status have different writers
        "additionalPrinterColumns": [
            {
                "name": column.name,
                "type": column.type,
                "jsonPath": column.json_path,
                "description": column.description,
                "priority": 1 if column.wide_only else 0,
            }
            for column in resource.columns
        ],
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{resource.plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": resource.scope,
            "names": {
                "kind": resource.kind,
                "listKind": f"{resource.kind}List",
                "plural": resource.plural,
                "singular": singular,
                "shortNames": list(resource.short_names),
                "categories": ["ballast"],
            },
            "versions": [version],
        },
    }


def structural_schema(model: type[ApiModel]) -> Schema:
    """The OpenAPI v3 schema of a kind, as the API server wants it."""
    raw = model.model_json_schema(by_alias=True)
    schema = _structural(raw, raw.get("$defs", {}), path=model.__name__)
    # The API server checks these three by itself and allows nothing but their types here.
    for name in ("apiVersion", "kind"):
        schema["properties"][name] = {"type": "string"}
    schema["properties"]["metadata"] = {"type": "object"}
    schema["required"] = [name for name in schema.get("required", ()) if name != "metadata"]
    return schema


def _structural(raw: Mapping[str, Any], definitions: Mapping[str, Any], *, path: str) -> Schema:
    """One node of pydantic's schema, and all below it, as a node of a structural schema."""
    node = _resolved(raw, definitions)
    if _INT_OR_STRING in node:
        node.pop("anyOf", None)
    if "anyOf" in node:
        # Optional means absent here, never null.
        choices = [choice for choice in node.pop("anyOf") if choice.get("type") != "null"]
        if len(choices) != 1:
            raise SchemaError(f"{path}: a structural schema has one type; give the union a schema of its own")
        return _structural({**choices[0], **node}, definitions, path=path)

    if "const" in node:
        node["enum"] = [node.pop("const")]
    for bound in ("minimum", "maximum"):
        # OpenAPI 3.0, which the API server speaks, says that a bound is excluded; JSON schema says which is.
        excluded = node.pop(f"exclusive{bound.capitalize()}", None)
        if excluded is not None:
            node |= {bound: excluded, f"exclusive{bound.capitalize()}": True}
    if "default" in node:
        default = _without_nothing(node.pop("default"))
        if default not in (None, []):
            node["default"] = default
    extra = node.pop("additionalProperties", None)
    if extra is True:
        node[_PRESERVE] = True
    elif isinstance(extra, Mapping):
        node["additionalProperties"] = _structural(extra, definitions, path=f"{path}.*")
    if "properties" in node:
        node["properties"] = {
            name: _structural(child, definitions, path=f"{path}.{name}") for name, child in node["properties"].items()
        }
    if "items" in node:
        node["items"] = _structural(node["items"], definitions, path=f"{path}[]")
    if "description" in node:
        node["description"] = " ".join(node["description"].split())
    if "type" not in node and _INT_OR_STRING not in node:
        raise SchemaError(f"{path}: a structural schema needs a type, this field has none")
    return {key: node[key] for key in sorted(node, key=_reading_order)}


def _without_nothing(default: Any) -> Any:
    """A default without the nulls and empty lists in it: to leave a field out says the same."""
    if isinstance(default, Mapping):
        return {key: _without_nothing(value) for key, value in default.items() if value not in (None, [])}
    return default


def _resolved(raw: Mapping[str, Any], definitions: Mapping[str, Any]) -> Schema:
    """A copy of the node with its reference replaced by what it names; what stands beside the reference wins."""
    node = {key: copy.deepcopy(value) for key, value in raw.items() if key not in ("$defs", "title")}
    reference = node.pop("$ref", None)
    if reference is None:
        return node
    target = definitions[reference.removeprefix("#/$defs/")]
    return _resolved({**target, **node}, definitions)


_ORDER = ("description", "type", "format", "default", "enum", "required", "properties", "items")


def _reading_order(key: str) -> tuple[int, str]:
    return (_ORDER.index(key) if key in _ORDER else len(_ORDER), key)


def stale(folder: Path) -> str:
    """How the folder's YAML differs from the models, as a unified diff; empty when it does not."""
    wanted = render()
    found = {path.name: path.read_text(encoding="utf-8") for path in sorted(folder.glob("*.yaml"))}
    diffs: list[str] = []
    for name in sorted({*wanted, *found}):
        before, after = found.get(name, ""), wanted.get(name, "")
        diffs += difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            fromfile=str(folder / name),
            tofile="rendered from the models",
        )
    return "".join(diffs)


def write(folder: Path) -> None:
    """Makes the folder's YAML what the models say; a file of a kind that is gone goes, too."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = render()
    for path in folder.glob("*.yaml"):
        if path.name not in wanted:
            path.unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text, encoding="utf-8")


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m ballast.api.crds --write DIR | --check DIR`; exit code 1 when the check finds a difference."""
    parser = argparse.ArgumentParser(prog="ballast.api.crds", description=__doc__.partition("\n")[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--write", type=Path, metavar="DIR", help="render the CRDs into DIR")
    what.add_argument("--check", type=Path, metavar="DIR", help="fail if DIR is not what would be rendered")
    arguments = parser.parse_args(argv)
    if arguments.write is not None:
        write(arguments.write)
        return 0
    difference = stale(arguments.check)
    if difference:
        sys.stderr.write(f"{difference}\n{arguments.check} is stale: run `make crds`\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
