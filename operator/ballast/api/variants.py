"""A value of one of several shapes, told apart by its `type`: typed classes in Python, one flat object in the CRD.

A structural schema can't hold alternatives, so that the shapes are laid over each other there: every field is declared
once and optional, and a CEL rule per type says which of them belong to it. Invariant: the models are the one source of
both; a field that two shapes share has the same bounds in both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from ballast.api.base import ApiModel

TAG = "type"


class Variants:
    """Reads a union of models by their tag; stands in the `Annotated` of the union.

    Args:
        models: The shapes; each has a field `type` with a default, which is its tag.
        description: What they have in common.
    """

    def __init__(self, *models: type[ApiModel], description: str) -> None:
        self._description = description
        self._shapes = {str(model.model_fields[TAG].default): _Shape(model) for model in models}
        self._fields = sorted({name for shape in self._shapes.values() for name in shape.fields})

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Reads by the tag; writes as the union does."""
        return core_schema.no_info_wrap_validator_function(lambda value, _: self._read(value), handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """The shapes laid over each other, and a rule for each."""
        properties: dict[str, Any] = {
            TAG: {
                "type": "string",
                "enum": list(self._shapes),
                "description": " ".join(f"{tag}: {shape.summary}" for tag, shape in self._shapes.items()),
            }
        }
        said: dict[str, dict[str, list[str]]] = {}  # by field, then by description: the types that have it
        for tag, shape in self._shapes.items():
            declared = handler.resolve_ref_schema(handler(shape.model.__pydantic_core_schema__))["properties"]
            for name in shape.fields:
                bounds = {key: value for key, value in declared[name].items() if key not in ("description", "title")}
                if properties.setdefault(name, bounds) != bounds:
                    raise TypeError(f"{name} of {tag} has other bounds than in another shape: give it another name")
                said.setdefault(name, {}).setdefault(declared[name]["description"], []).append(tag)
        for name, descriptions in said.items():
            spoken = " ".join(f"{', '.join(tags)}: {text}" for text, tags in descriptions.items())
            properties[name] = properties[name] | {"description": spoken}
        return {
            "description": self._description,
            "type": "object",
            "required": [TAG],
            "properties": properties,
            "x-kubernetes-validations": list(self._rules()),
        }

    def _rules(self) -> Iterator[dict[str, str]]:
        for tag, shape in self._shapes.items():
            clauses = [
                f"has(self.{name})" if name in shape.required else f"!has(self.{name})"
                for name in self._fields
                if name in shape.required or name not in shape.fields
            ]
            yield {"rule": f"self.{TAG} != '{tag}' || ({' && '.join(clauses)})", "message": shape.message}
            for rule in shape.model.rules:
                yield rule.rendered(only_if=f"self.{TAG} == '{tag}'")

    def _read(self, value: Any) -> ApiModel:
        if isinstance(value, ApiModel):
            return value
        if not isinstance(value, Mapping):
            raise PydanticCustomError("variant", "Input should be an object with a type")
        shape = self._shapes.get(str(value.get(TAG)))
        if shape is None:
            raise _wrong_tag(value, self._shapes)
        given = {name for name in value if name in self._fields}
        if not shape.required <= given or not given <= shape.fields.keys():
            raise PydanticCustomError("rule", "{message}", {"message": shape.message})
        return shape.model.model_validate(value, by_alias=True, by_name=False)


def _wrong_tag(value: Mapping[str, Any], known: Iterable[str]) -> ValidationError:
    """Blames the tag itself, as the API server does."""
    problem: InitErrorDetails = {
        "type": PydanticCustomError("variant", "Input should be one of {known}", {"known": ", ".join(known)}),
        "loc": (TAG,),
        "input": value.get(TAG),
    }
    return ValidationError.from_exception_data("variant", [problem])


class _Shape:
    """One of the models, with what the rules need to know of it; field names as manifests have them."""

    def __init__(self, model: type[ApiModel]) -> None:
        self.model = model
        self.fields = {field.alias or name: field for name, field in model.model_fields.items() if name != TAG}
        self.required = {name for name, field in self.fields.items() if field.is_required()}
        self.summary = " ".join((model.__doc__ or "").split())

    @property
    def message(self) -> str:
        """What the shape is made of, for somebody who got it wrong."""
        tag = self.model.model_fields[TAG].default
        if not self.fields:
            return f"{TAG} {tag} takes no other field: remove the rest"
        optional = [name for name in self.fields if name not in self.required]
        needs = " and ".join(name for name in self.fields if name in self.required)
        also = f" and may have {' and '.join(optional)}" if optional else ""
        return f"{TAG} {tag} needs {needs}{also}, and no other field: add what is missing, remove the rest"
